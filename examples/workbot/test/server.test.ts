import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SECRET } from './support.ts';

const loader = import.meta.resolve('tsx');
const script = new URL('../src/server.ts', import.meta.url);

/** A process of its own, started as in production and listening on a socket in a directory of its own. */
function start(t: TestContext, env: Record<string, string>, socket = socketPath(t)) {
  const child = fork(script, {
    execArgv: ['--import', loader],
    env: { PATH: process.env.PATH, PORT: socket, LOG_LEVEL: 'info', JWT_SECRET: SECRET, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (output += data));
  return { child, socket, output: () => output };
}

function socketPath(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'workbot-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'a.sock');
}

async function ready(child: ChildProcess): Promise<void> {
  const [message] = await once(child, 'message');
  assert.equal(message, 'ready');
}

function get(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path }, async (response) => {
      const body = (await response.setEncoding('utf8').toArray()).join('');
      resolve({ status: response.statusCode!, body });
    }).on('error', reject).end();
  });
}

/** Resolves once the process answers nothing any more: its event loop is busy. */
async function busy(socketPath: string): Promise<void> {
  const unanswered = async () => {
    const answer = get(socketPath, '/').then(() => false);
    answer.catch(() => undefined);
    return Promise.race([answer, sleep(200, true)]);
  };
  while (!(await unanswered()));
}

test('it tells ready, serves on its socket and at SIGINT finishes what it began', async (t) => {
  const { child, socket, output } = start(t, { NODE_ENV: 'production', WORKBOT_FAULTS: '1' });
  await ready(child);
  assert.equal(JSON.parse((await get(socket, '/api/health')).body).environment, 'production');
  // The event loop is busy when the signal comes: the answer must still arrive.
  const answer = new Promise<number>((resolve, reject) => {
    request({ socketPath: socket, path: '/faults/block?ms=3000', method: 'POST' }, (response) => {
      resolve(response.statusCode!);
    }).on('error', reject).end();
  });
  await busy(socket);
  child.kill('SIGINT');
  const exit = once(child, 'exit');
  assert.equal(await answer, 200);
  assert.deepEqual(await exit, [0, null]);
  assert.equal(existsSync(socket), false);
  // Quiet: its life in JSON lines, and none for each request.
  const messages = output().trim().split('\n').map((line) => JSON.parse(line).msg);
  assert.deepEqual(messages, ['listening', 'stopping', 'stopped']);
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
  assert.equal((await get(socket, '/')).status, 200);

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
