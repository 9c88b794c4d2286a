import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { WebSocket } from 'ws';
import { createApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { createLogger } from '../src/logging.ts';

export const SECRET = 'only-for-tests-0123456789-0123456789';

/** A real server on a free port, with the environment given; closed after the test. */
export async function startApp(
  t: TestContext,
  env: Record<string, string> = {},
): Promise<{ app: FastifyInstance; url: string }> {
  const config = readConfig({ PORT: '0', LOG_LEVEL: 'silent', JWT_SECRET: SECRET, ...env });
  const app = createApp(config, createLogger(config.logLevel));
  await app.listen(config.listen);
  t.after(() => app.close());
  return { app, url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}` };
}

export type Frame = { type: string; code?: number; message?: unknown; robotId?: string | null };

/** A WebSocket client whose frames are kept from the first on. */
export class Client {
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #frames: Frame[] = [];

  constructor(url: string, path = '/ws', autoPong = true) {
    this.socket = new WebSocket(url.replace('http', 'ws') + path, { autoPong });
    this.socket.on('message', (data) => this.#frames.push(JSON.parse(data.toString())));
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  async next(): Promise<Frame> {
    if (this.#frames.length === 0) await once(this.socket, 'message');
    return this.#frames.shift()!;
  }
}
