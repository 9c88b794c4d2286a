import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { describeMemory, judge } from '../src/health.ts';
import type { Health } from '../src/health.ts';
import { startApp } from './support.ts';

const MB = 1024 * 1024;
const noDatabase = { status: 'disabled', latencyMs: null, pool: { total: 0, idle: 0, waiting: 0, max: 0 } } as const;

test('health has the documented shape', async (t) => {
  const { url } = await startApp(t, { MEMORY_RESTART_MB: '100000' });
  const response = await fetch(`${url}/api/health`);
  const health = (await response.json()) as Health;
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  assert.deepEqual(Object.keys(health), [
    'status', 'timestamp', 'uptime', 'memory', 'database', 'websocket', 'environment', 'version', 'pid', 'worker',
  ]);
  assert.deepEqual(Object.keys(health.memory), [
    'heapUsed', 'heapTotal', 'rss', 'usagePercent', 'heapLimit', 'heapLimitPercent',
    'restartLimit', 'restartLimitPercent',
  ]);
  assert.equal(health.status, 'ok');
  assert.ok(Date.now() - Date.parse(health.timestamp) < 10_000);
  assert.ok(health.memory.heapUsed > 1 && health.memory.rss > health.memory.heapUsed && health.memory.rss < 2_000);
  assert.deepEqual(health.database, noDatabase);
  assert.deepEqual(health.websocket, { connections: 0, status: 'ok', max: 100 });
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  assert.deepEqual([health.environment, health.version, health.pid], ['development', version, process.pid]);
});

test('memory is judged by the heap limit and the restart limit, not by heapTotal', () => {
  const raw = { heapUsed: 95 * MB, heapTotal: 100 * MB, rss: 200 * MB, heapLimit: 1_000 * MB };
  assert.equal(describeMemory(raw, 0).usagePercent, 95);
  assert.equal(judge(describeMemory(raw, 0), noDatabase).status, 'ok');
  assert.equal(judge(describeMemory({ ...raw, heapUsed: 900 * MB }, 0), noDatabase).status, 'ok');

  const heap = judge(describeMemory({ ...raw, heapUsed: 901 * MB }, 0), noDatabase);
  assert.equal(heap.status, 'warning');
  assert.match(heap.messages.join(), /heap is at 90.1 % of its limit, 1000 MB/);
  const rss = judge(describeMemory(raw, 220), noDatabase);
  assert.equal(rss.status, 'warning');
  assert.match(rss.messages.join(), /RSS is at 90.9 % of the restart limit, 220 MB/);
});

test('an unreachable database is an error with 503', async (t) => {
  const { url } = await startApp(t, { DATABASE_URL: 'postgresql://x:y@127.0.0.1:1/z' });
  const response = await fetch(`${url}/api/health`);
  const health = (await response.json()) as Health;
  assert.equal(response.status, 503);
  assert.deepEqual([health.status, health.database.status, health.database.latencyMs], ['error', 'error', null]);
  assert.match(health.message!, /database did not answer/);
});

test('a database that accepts and never answers does not hold up health', async (t) => {
  const silent = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  t.after(() => silent.close());
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const { url } = await startApp(t, {
    DATABASE_URL: `postgresql://x:y@127.0.0.1:${port}/z`, DB_POOL_MAX: '1', DB_POOL_CONNECT_TIMEOUT_MS: '4000',
  });
  const started = Date.now();
  // The first fills the pool with a connection that hangs, the second finds it exhausted.
  for (let i = 0; i < 2; i += 1) assert.equal((await fetch(`${url}/api/health`)).status, 503);
  // Twice the two seconds of the question, and not twice the four of the connection.
  assert.ok(Date.now() - started < 7_500);
});
