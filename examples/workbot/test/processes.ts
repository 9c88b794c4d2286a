import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import type { Agent, IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { SECRET } from './support.ts';

const loader = import.meta.resolve('tsx');
const script = new URL('../src/server.ts', import.meta.url);

interface Asked {
  method?: string;
  agent?: Agent;
}

/** A process of its own, started as in production and listening on a socket in a directory of its own. */
export function start(t: TestContext, env: Record<string, string>, socket = socketPath(t), execArgv: string[] = []) {
  const child = fork(script, {
    execArgv: ['--import', loader, ...execArgv],
    env: { PATH: process.env.PATH, PORT: socket, LOG_LEVEL: 'info', JWT_SECRET: SECRET, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (output += data));
  return { child, socket, output: () => output };
}

export function socketPath(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'workbot-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'a.sock');
}

export async function ready(child: ChildProcess): Promise<void> {
  const [message] = await once(child, 'message');
  assert.equal(message, 'ready');
}

export function ask(
  socketPath: string,
  path: string,
  options: Asked = {},
): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, ...options }, async (response) => {
      const body = (await response.setEncoding('utf8').toArray()).join('');
      resolve({ status: response.statusCode!, headers: response.headers, body });
    }).on('error', reject).end();
  });
}
