import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startApp } from './support.ts';

const json = { 'content-type': 'application/json' };

test('the front page says what is here', async (t) => {
  const { url } = await startApp(t);
  const body = (await (await fetch(url)).json()) as { service: string; health: string };
  assert.deepEqual([body.service, body.health], ['workbot', '/api/health']);
});

test('bad input gets a 4xx with a reason', async (t) => {
  const { url } = await startApp(t, { RATE_LIMIT_REQUESTS: '100' });
  const cases: [string, RequestInit, number][] = [
    ['/api/conversations?limit=0', {}, 400],
    ['/api/conversations?limit=101', {}, 400],
    ['/api/conversations?robotId=one', {}, 400],
    ['/api/sessions', { method: 'POST', headers: json, body: '{' }, 400],
    ['/api/sessions', { method: 'POST', headers: json, body: '{}' }, 400],
    ['/api/sessions', { method: 'POST', headers: json, body: JSON.stringify({ code: 'x'.repeat(101) }) }, 400],
    ['/api/sessions', { method: 'POST', headers: { 'content-type': 'text/xml' }, body: '<code/>' }, 415],
    ['/api/conversations', { method: 'POST', headers: json, body: '{"title":"x"}' }, 401],
    ['/api/nothing', {}, 404],
    ['/nothing', {}, 404],
  ];
  for (const [path, init, status] of cases) {
    const response = await fetch(url + path, init);
    assert.equal(response.status, status, path);
    assert.ok(((await response.json()) as { error: string }).error.length > 0);
  }
});

test('without a database its routes answer 503', async (t) => {
  const { url } = await startApp(t);
  assert.equal((await fetch(`${url}/api/conversations`)).status, 503);
});
