import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;

/**
 * Takes no new connection and lets the open ones be ended by the other side, for so long at most.
 *
 * A proxy may be sending a request over a kept-alive connection at the very moment at which this side closes it: a POST
 * then fails, since nobody may send it twice. So each further answer announces that it is the connection's last, and
 * idle connections wait until the proxy's own keep-alive time is over. That, in milliseconds, must be less than `limitMs`.
 */
export async function drain(server: Server, limitMs: number): Promise<void> {
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    response.setHeader('connection', 'close');
  });
  // http.Server's own close() would cut what is idle.
  NetServer.prototype.close.call(server);
  const connections = promisify(server.getConnections.bind(server));
  const end = Date.now() + limitMs;
  while (Date.now() < end && (await connections()) > 0) await sleep(POLL_MS);
}
