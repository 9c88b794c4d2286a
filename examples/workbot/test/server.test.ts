import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, ready, socketPath, start } from './processes.ts';

/** Resolves once the process answers nothing any more: its event loop is busy. */
async function busy(socketPath: string): Promise<void> {
  const unanswered = async () => {
    const answer = ask(socketPath, '/').then(() => false);
    answer.catch(() => undefined);
    return Promise.race([answer, sleep(200, true)]);
  };
  while (!(await unanswered()));
}

test('it tells ready, serves on its socket and at SIGINT finishes what it began', async (t) => {
  const { child, socket, output } = start(t, { NODE_ENV: 'production', WORKBOT_FAULTS: '1' });
  await ready(child);
  assert.equal(JSON.parse((await ask(socket, '/api/health')).body).environment, 'production');
  // The event loop is busy when the signal comes: the answer must still arrive.
  const answer = ask(socket, '/faults/block?ms=3000', { method: 'POST' });
  await busy(socket);
  child.kill('SIGINT');
  const exit = once(child, 'exit');
  assert.equal((await answer).status, 200);
  assert.deepEqual(await exit, [0, null]);
  assert.equal(existsSync(socket), false);
  // Quiet: its life in JSON lines, and none for each request.
  const messages = output().trim().split('\n').map((line) => JSON.parse(line).msg);
  assert.deepEqual(messages, ['listening', 'stopping', 'stopped']);
});

test('a kept-alive connection is used to its end during the stop, and no new one is taken', async (t) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const { child, socket } = start(t, { WORKBOT_FAULTS: '1' });
  const post = () => ask(socket, '/faults/health/ok', { method: 'POST', agent });
  await ready(child);
  assert.equal((await post()).headers.connection, 'keep-alive');
  child.kill('SIGINT');
  const exit = once(child, 'exit');
  await sleep(500);
  await assert.rejects(ask(socket, '/', { agent: new Agent() }), { code: 'ENOENT' });
  const last = await post();
  assert.deepEqual([last.status, last.headers.connection], [200, 'close']);
  assert.deepEqual(await exit, [0, null]);
});

test('a connection that nobody uses any more does not hold up the stop for longer than the drain time', async (t) => {
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const { child, socket } = start(t, { STOP_DRAIN_MS: '300' });
  await ready(child);
  await ask(socket, '/', { agent });
  const began = Date.now();
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.ok(Date.now() - began >= 300);
});

test('a request that takes too long does not hold up the stop for ever', async (t) => {
  const { child, socket, output } = start(t, { STOP_TIMEOUT_MS: '200' });
  await ready(child);
  // A request whose body never ends.
  const headers = { 'content-type': 'application/json', 'content-length': 10, expect: '100-continue' };
  const stuck = request({ socketPath: socket, path: '/api/sessions', method: 'POST', headers });
  stuck.on('error', () => undefined);
  stuck.write('{');
  await once(stuck, 'continue');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [1, null]);
  assert.match(output(), /stopped by the time limit/);
});

test('the socket of a killed process is replaced, a living one is not, nor is a file', async (t) => {
  const socket = socketPath(t);
  const killed = start(t, {}, socket);
  await ready(killed.child);
  killed.child.kill('SIGKILL');
  await once(killed.child, 'exit');
  assert.ok(existsSync(socket));

  const next = start(t, {}, socket);
  await ready(next.child);
  const rival = start(t, {}, socket);
  assert.equal((await once(rival.child, 'exit'))[0], 1);
  assert.match(rival.output(), /EADDRINUSE/);
  assert.equal((await ask(socket, '/')).status, 200);

  const file = `${socket}.txt`;
  writeFileSync(file, 'mine');
  const onFile = start(t, {}, file);
  assert.equal((await once(onFile.child, 'exit'))[0], 1);
  assert.ok(existsSync(file));
});

test('production without JWT_SECRET ends at once and says why', async (t) => {
  const { child, output } = start(t, { NODE_ENV: 'production', JWT_SECRET: '' });
  assert.deepEqual(await once(child, 'exit'), [1, null]);
  assert.match(output(), /workbot cannot start:\nJWT_SECRET .* at least 32/);
});
