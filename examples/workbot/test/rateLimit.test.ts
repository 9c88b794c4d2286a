import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { SlidingWindow, clientAddress } from '../src/rateLimit.ts';
import { startApp } from './support.ts';

test('the window slides: no burst over a window border', () => {
  let now = 0;
  const limit = new SlidingWindow(10, 10_000, () => now);
  for (now = 9_000; now < 10_000; now += 100) assert.equal(limit.take('a'), 0);
  // A window that starts anew every ten seconds would allow ten more here.
  now = 10_500;
  assert.equal(limit.take('a'), 8_500);
  now = 18_999;
  assert.equal(limit.take('a'), 1);
  now = 19_000;
  assert.equal(limit.take('a'), 0);
  assert.equal(limit.take('a'), 100);
});

test('keys are apart and are forgotten after their window', () => {
  let now = 0;
  const limit = new SlidingWindow(1, 1_000, () => now);
  assert.equal(limit.take('a'), 0);
  assert.equal(limit.take('b'), 0);
  assert.equal(limit.take('a'), 1_000);
  assert.equal(limit.size, 2);
  now = 1_000;
  assert.equal(limit.take('c'), 0);
  assert.equal(limit.size, 1);
});

const addresses: [string, string | undefined, boolean, Record<string, string>, string][] = [
  ['a remote peer, header forged', '203.0.113.9', false, { 'x-real-ip': '1.1.1.1' }, '203.0.113.9'],
  ['a remote peer, list forged', '203.0.113.9', false, { 'x-forwarded-for': '1.1.1.1' }, '203.0.113.9'],
  ['a proxy on loopback', '127.0.0.1', false, { 'x-real-ip': '198.51.100.7' }, '198.51.100.7'],
  ['a proxy on mapped loopback', '::ffff:127.0.0.1', false, { 'x-real-ip': '2001:db8::1' }, '2001:db8::1'],
  ['a proxy on the unix socket', undefined, true, { 'x-real-ip': '198.51.100.7' }, '198.51.100.7'],
  ['the last entry is the proxy\'s', undefined, true, { 'x-forwarded-for': '1.1.1.1, 198.51.100.7' }, '198.51.100.7'],
  ['nonsense in the headers', '127.0.0.1', false, { 'x-real-ip': 'me', 'x-forwarded-for': 'you' }, '127.0.0.1'],
  ['no header on the unix socket', undefined, true, {}, 'local'],
];
for (const [name, remoteAddress, onUnixSocket, headers, expected] of addresses) {
  test(`client address: ${name}`, () => {
    const request = { socket: { remoteAddress }, headers } as unknown as IncomingMessage;
    assert.equal(clientAddress(request, onUnixSocket), expected);
  });
}

test('over the limit /api answers 429 with Retry-After, per client; health never does', async (t) => {
  const { url } = await startApp(t, { RATE_LIMIT_REQUESTS: '3', RATE_LIMIT_WINDOW_MS: '60000' });
  const ask = (path: string, client: string) => fetch(url + path, { headers: { 'x-real-ip': client } });
  for (const path of ['/api/nothing', '/api/conversations', '/api/%63onversations']) {
    assert.notEqual((await ask(path, '198.51.100.7')).status, 429);
  }
  const refused = await ask('/api/conversations', '198.51.100.7');
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get('retry-after'), '60');
  assert.equal((await ask('/api/nothing', '198.51.100.7')).status, 429);
  assert.equal((await ask('/api/nothing', '198.51.100.8')).status, 404);
  for (let i = 0; i < 10; i += 1) assert.equal((await ask('/api/health', '198.51.100.7')).status, 200);
});
