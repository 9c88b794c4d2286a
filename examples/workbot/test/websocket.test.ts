import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { readConfig } from '../src/config.ts';
import { createLogger } from '../src/logging.ts';
import { signToken } from '../src/token.ts';
import { WebSockets } from '../src/websocket.ts';
import { Client, SECRET, startApp } from './support.ts';

async function connections(url: string): Promise<{ connections: number; status: string; max: number }> {
  return ((await (await fetch(`${url}/api/health`)).json()) as { websocket: never }).websocket;
}

test('a client is welcomed, answered, and told what it got wrong', async (t) => {
  const { url } = await startApp(t);
  const client = new Client(url);
  assert.equal((await client.next()).type, 'welcome');
  client.socket.send('{"type":"ping"}');
  assert.equal((await client.next()).type, 'pong');
  client.socket.send('{"type":"note","text":"hello"}');
  assert.deepEqual(await client.next(), { type: 'echo', message: { type: 'note', text: 'hello' } });
  for (const bad of ['{', 'null', '[]', Buffer.from([0, 1])]) {
    client.socket.send(bad);
    assert.equal((await client.next()).code, 4400);
  }
});

test('at the limit a connection gets a JSON error and close code 4029; a freed place is given again', async (t) => {
  const { url } = await startApp(t, { WS_MAX_CONNECTIONS: '2' });
  const admitted = [new Client(url), new Client(url)];
  for (const client of admitted) await client.next();
  assert.deepEqual(await connections(url), { connections: 2, status: 'full', max: 2 });

  const refused = new Client(url);
  const { type, code, message } = await refused.next();
  assert.deepEqual([type, code, typeof message], ['error', 4029, 'string']);
  assert.equal((await refused.closed).code, 4029);
  assert.equal((await connections(url)).connections, 2);

  admitted[0]!.socket.close();
  await admitted[0]!.closed;
  const later = new Client(url);
  assert.equal((await later.next()).type, 'welcome');
});

test('a peer that answers no heartbeat is cut, the others stay', async (t) => {
  const { url } = await startApp(t, { WS_HEARTBEAT_MS: '1000' });
  const dead = new Client(url, '/ws', false);
  const living = new Client(url);
  await Promise.all([dead.next(), living.next()]);
  assert.equal((await dead.closed).code, 1006);
  // The heartbeat after the next would cut the other one as well, had its answer to the next not counted.
  for (let pings = 0; pings < 2; pings += 1) await once(living.socket, 'ping');
  assert.equal(living.socket.readyState, living.socket.OPEN);
  assert.equal((await connections(url)).connections, 1);
});

test('the heartbeat takes twice as long above the number of connections that counts as busy', async (t) => {
  const config = readConfig({ WS_HEARTBEAT_MS: '30000', WS_HEARTBEAT_BUSY_ABOVE: '1' });
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const websockets = new WebSockets(config, createLogger('silent'));
  websockets.attach(server);
  t.after(() => websockets.close().then(() => server.close()));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Client(url).next();
  assert.equal(websockets.heartbeatMs(), 30_000);
  await new Client(url).next();
  assert.equal(websockets.heartbeatMs(), 60_000);
});

test('a token names the robot; a bad one is refused with 4401', async (t) => {
  const { url } = await startApp(t);
  const exp = Math.floor(Date.now() / 1000) + 60;
  const good = new Client(url, `/ws?token=${signToken({ robotId: '7', exp }, SECRET)}`);
  assert.equal((await good.next()).robotId, '7');
  const forged = signToken({ robotId: '7', exp }, 'another secret');
  const expired = signToken({ robotId: '7', exp: exp - 120 }, SECRET);
  for (const token of [forged, expired, '', 'a.b.c']) {
    assert.equal((await new Client(url, `/ws?token=${token}`).closed).code, 4401);
  }
});

test('another path is no WebSocket', async (t) => {
  const { url } = await startApp(t);
  const [error] = await once(new Client(url, '/other').socket, 'error');
  assert.match(error.message, /404/);
});

test('a stop closes every WebSocket with 1001, also one that does not answer', async (t) => {
  const { app, url } = await startApp(t);
  const polite = new Client(url);
  const stuck = new Client(url);
  await Promise.all([polite.next(), stuck.next()]);
  stuck.socket.pause();
  await app.close();
  assert.deepEqual(await polite.closed, { code: 1001, reason: 'the server is stopping' });
  stuck.socket.resume();
  assert.equal((await stuck.closed).code, 1001);
});
