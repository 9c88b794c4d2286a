import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { RawData, WebSocket } from 'ws';
import type { Config } from './config.ts';
import type { Logger } from './logging.ts';
import { verifyToken } from './token.ts';

const PATH = '/ws';
const CODE_GOING_AWAY = 1001;
const CODE_BAD_TOKEN = 4401;
const CODE_LIMIT = 4029;
const MAX_MESSAGE_BYTES = 64 * 1024;
/** How long the other side may take to answer a close before the connection is cut. */
const CLOSE_TIMEOUT_MS = 1_000;

export interface WebSocketHealth {
  connections: number;
  status: 'ok' | 'full' | 'closing';
  max: number;
}

export class WebSockets {
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES });
  /** Admitted connections, and whether each has been heard since the last ping. */
  readonly #alive = new Map<WebSocket, boolean>();
  readonly #limits: Config['websocket'];
  readonly #jwtSecret: string;
  readonly #log: Logger;
  #heartbeat: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(config: Config, log: Logger) {
    this.#limits = config.websocket;
    this.#jwtSecret = config.jwtSecret;
    this.#log = log;
  }

  attach(server: Server): void {
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#scheduleHeartbeat();
  }

  health(): WebSocketHealth {
    const connections = this.#alive.size;
    const status = this.#closing ? 'closing' : connections >= this.#limits.max ? 'full' : 'ok';
    return { connections, status, max: this.#limits.max };
  }

  /** Milliseconds to the next heartbeat: twice the base when many connections are open. */
  heartbeatMs(): number {
    return this.#limits.heartbeatMs * (this.#alive.size > this.#limits.busyAbove ? 2 : 1);
  }

  /** Says goodbye to every client; resolves when all are gone. */
  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#heartbeat);
    const sockets = [...this.#server.clients];
    const gone = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of sockets) closeSoon(socket, CODE_GOING_AWAY, 'the server is stopping');
    await Promise.all(gone);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const [path, query] = (request.url ?? '').split('?', 2);
    if (path !== PATH || this.#closing) {
      const status = this.#closing ? '503 Service Unavailable' : '404 Not Found';
      socket.on('error', () => undefined);
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const token = new URLSearchParams(query).get('token');
    this.#server.handleUpgrade(request, socket, head, (client) => this.#admit(client, token));
  }

  #admit(client: WebSocket, token: string | null): void {
    client.on('error', (error) => this.#log.debug({ err: error }, 'websocket error'));
    if (this.#alive.size >= this.#limits.max) {
      const message = `the limit of ${this.#limits.max} connections is reached, try again later`;
      return refuse(client, CODE_LIMIT, message);
    }
    const session = token === null ? undefined : verifyToken(token, this.#jwtSecret);
    if (session === null) return refuse(client, CODE_BAD_TOKEN, 'the token is not valid');

    this.#alive.set(client, true);
    client.on('close', () => this.#alive.delete(client));
    client.on('pong', () => this.#heard(client));
    client.on('message', (data, binary) => {
      this.#heard(client);
      send(client, answer(data, binary));
    });
    send(client, { type: 'welcome', pid: process.pid, robotId: session?.robotId ?? null });
  }

  #heard(client: WebSocket): void {
    if (this.#alive.has(client)) this.#alive.set(client, true);
  }

  #scheduleHeartbeat(): void {
    this.#heartbeat = setTimeout(() => {
      this.#checkAll();
      this.#scheduleHeartbeat();
    }, this.heartbeatMs());
    this.#heartbeat.unref();
  }

  #checkAll(): void {
    for (const [client, heard] of this.#alive) {
      if (!heard) {
        client.terminate();
        continue;
      }
      this.#alive.set(client, false);
      client.ping();
    }
  }
}

function answer(data: RawData, binary: boolean): object {
  try {
    const message: unknown = binary ? undefined : JSON.parse(data.toString());
    if (message && typeof message === 'object' && 'type' in message) {
      return message.type === 'ping' ? { type: 'pong', timestamp: new Date().toISOString() } : { type: 'echo', message };
    }
  } catch {
    // Not JSON: answered like any other message that is not understood.
  }
  return { type: 'error', code: 4400, message: 'send a JSON object with a "type"' };
}

function refuse(client: WebSocket, code: number, message: string): void {
  send(client, { type: 'error', code, message });
  closeSoon(client, code, message);
}

function send(client: WebSocket, message: object): void {
  client.send(JSON.stringify(message));
}

function closeSoon(client: WebSocket, code: number, reason: string): void {
  client.close(code, reason);
  const timer = setTimeout(() => client.terminate(), CLOSE_TIMEOUT_MS);
  timer.unref();
  client.once('close', () => clearTimeout(timer));
}
