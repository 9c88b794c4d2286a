import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { RedisSlidingWindow } from '../src/redisLimit.ts';
import { startApp } from './support.ts';

const url = process.env.REDIS_URL ?? '';
const skip = url ? false : 'needs REDIS_URL';

function limiter(t: TestContext, address: string, prefix: string, requests = 10, windowMs = 1_000) {
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) }));
  const limit = new RedisSlidingWindow(address, requests, windowMs, log, prefix);
  t.after(() => limit.close());
  return { limit, lines };
}

test('two processes count together, and the window slides', { skip }, async (t) => {
  const prefix = `test:${randomUUID()}:`;
  const [one, two] = [limiter(t, url, prefix), limiter(t, url, prefix)];
  await pause(300);
  const waits: number[] = [];
  for (let i = 0; i < 6; i += 1) waits.push(await one.limit.take('a'), await two.limit.take('a'));
  assert.deepEqual(waits.slice(0, 10), Array(10).fill(0));
  assert.ok(waits.slice(10).every((wait) => wait > 0 && wait <= 1_000), String(waits));
  assert.equal(await two.limit.take('b'), 0);
  await pause(waits[10]! + 20);
  assert.equal(await two.limit.take('a'), 0);
  assert.deepEqual(one.lines, []);
});

test('the service answers 429 by what Redis counts', { skip }, async (t) => {
  const env = { RATE_LIMIT_REDIS_URL: url, RATE_LIMIT_REQUESTS: '3', RATE_LIMIT_WINDOW_MS: '2000' };
  const [one, two] = [await startApp(t, env), await startApp(t, env)];
  await pause(300);
  const client = `198.51.100.${Math.ceil(Math.random() * 250)}`;
  const statuses: number[] = [];
  for (const { url: at } of [one, two, one, two, one]) {
    statuses.push((await fetch(`${at}/api/nothing`, { headers: { 'x-real-ip': client } })).status);
  }
  assert.deepEqual(statuses, [404, 404, 404, 429, 429]);
});

test('without Redis requests are allowed, quickly, and a warning is logged once', async (t) => {
  const { limit, lines } = limiter(t, 'redis://127.0.0.1:1', 'test:', 1);
  const began = performance.now();
  for (let i = 0; i < 50; i += 1) assert.equal(await limit.take('a'), 0);
  assert.ok(performance.now() - began < 1_000);
  const warnings = lines.filter((line) => line.includes('requests are not limited'));
  assert.equal(warnings.length, 1);
  assert.equal(JSON.parse(warnings[0]!).level, 40);
});
