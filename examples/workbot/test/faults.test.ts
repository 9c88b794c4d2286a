import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Health } from '../src/health.ts';
import { ask, ready, start } from './processes.ts';
import { startApp } from './support.ts';

async function startFaulty(t: TestContext, env: Record<string, string> = {}) {
  const { url } = await startApp(t, { WORKBOT_FAULTS: '1', ...env });
  const post = (path: string) => fetch(`${url}/faults/${path}`, { method: 'POST' });
  const health = (options: RequestInit = {}) => fetch(`${url}/api/health`, options);
  const memory = async () => ((await (await health()).json()) as Health).memory;
  return { url, post, health, memory };
}

function faultsFile(t: TestContext, armed: object): string {
  const directory = mkdtempSync(join(tmpdir(), 'workbot-faults-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'faults.json');
  writeFileSync(file, JSON.stringify(armed));
  return file;
}

test('they are not there unless asked for, nor is their file read', async (t) => {
  const { url } = await startApp(t, { WORKBOT_FAULTS_FILE: faultsFile(t, { health: '500' }) });
  assert.equal((await fetch(`${url}/faults/health/fail`, { method: 'POST' })).status, 404);
  assert.equal((await fetch(`${url}/api/health`)).status, 200);
});

test('health is wrong in each way that is asked for, and right again', async (t) => {
  const { post, health } = await startFaulty(t);
  for (const [fault, status] of [['fail', 503], ['500', 500], ['lie', 200]] as const) {
    await post(`health/${fault}`);
    const response = await health();
    assert.deepEqual([response.status, ((await response.json()) as Health).status], [status, 'error']);
  }
  await post('health/redirect');
  const away = await health({ redirect: 'manual' });
  assert.deepEqual([away.status, away.headers.get('location')], [302, 'http://elsewhere.invalid/']);

  assert.equal((await post('health/other')).status, 400);
  await post('health/ok');
  assert.equal((await health()).status, 200);
});

test('health comes drop by drop, or late', async (t) => {
  const { post, health } = await startFaulty(t);
  await post('health/drip');
  const response = await health();
  assert.equal(response.status, 200);
  const reader = response.body!.getReader();
  const drops: string[] = [];
  while (drops.length < 2) drops.push(new TextDecoder().decode((await reader.read()).value));
  assert.deepEqual(drops, ['{"status": "ok"', ' ']);
  await reader.cancel();

  await post('health/slow');
  await assert.rejects(health({ signal: AbortSignal.timeout(500) }), { name: 'TimeoutError' });
});

test('the heap is leaked, or buffers beside a flat heap', async (t) => {
  const { post, memory } = await startFaulty(t);
  const before = await memory();
  // Before the leak, which has the collector give back pages of its own at any time.
  await post('buffers?mb=200');
  const beside = await memory();
  assert.ok(beside.rss - before.rss > 100);
  assert.ok(beside.heapUsed - before.heapUsed < 30);
  await post('leak?mb=100');
  const leaked = await memory();
  assert.ok(leaked.heapUsed - beside.heapUsed > 50);
});

test('the event loop is blocked', async (t) => {
  const { post } = await startFaulty(t);
  // The service runs in this process: no timer of the test fires while it is blocked.
  let last = Date.now();
  let longest = 0;
  const tick = () => {
    longest = Math.max(longest, Date.now() - last);
    last = Date.now();
  };
  const ticks = setInterval(tick, 10);
  assert.equal((await post('block?ms=300')).status, 200);
  clearInterval(ticks);
  tick();
  assert.ok(longest >= 290, `the longest pause was ${longest} ms`);
});

test('every process that reads the file is broken by it', async (t) => {
  const { health } = await startFaulty(t, { WORKBOT_FAULTS_FILE: faultsFile(t, { health: '500' }) });
  assert.equal((await health()).status, 500);
  const { child } = start(t, { WORKBOT_FAULTS: '1', WORKBOT_FAULTS_FILE: faultsFile(t, { exitAfterMs: 300 }) });
  await ready(child);
  assert.deepEqual(await once(child, 'exit'), [1, null]);
});

test('a process exits when told to, or ends with an exhausted heap', async (t) => {
  for (const [path, ended] of [['exit?ms=50', [1, null]], ['exhaust', [null, 'SIGABRT']]] as const) {
    const { child, socket } = start(t, { WORKBOT_FAULTS: '1' }, undefined, ['--max-old-space-size=64']);
    await ready(child);
    assert.equal((await ask(socket, `/faults/${path}`, { method: 'POST' })).status, 200);
    assert.deepEqual(await once(child, 'exit'), ended);
  }
});
