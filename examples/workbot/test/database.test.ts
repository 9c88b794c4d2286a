import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import pg from 'pg';
import type { Health } from '../src/health.ts';
import { startApp } from './support.ts';

const json = { 'content-type': 'application/json' };
const databaseUrl = process.env.DATABASE_URL;
const skip = databaseUrl ? false : 'DATABASE_URL is not set: no PostgreSQL to test with';

/** The service runs in a schema of its own, dropped afterwards: nothing that is in the database is touched. */
suite('with PostgreSQL', { skip }, () => {
  const schema = `workbot_test_${randomBytes(4).toString('hex')}`;
  const admin = new pg.Client({ connectionString: databaseUrl });
  const url = new URL(databaseUrl ?? 'postgresql://unset');
  url.searchParams.set('options', `-c search_path=${schema}`);
  const env = { DATABASE_URL: url.href, DB_POOL_MAX: '3', RATE_LIMIT_REQUESTS: '1000' };

  before(async () => {
    await admin.connect();
    await admin.query(`CREATE SCHEMA ${schema}`);
    await admin.query(`SET search_path = ${schema}`);
    for (const file of ['schema.sql', 'seed.sql']) {
      const sql = readFileSync(new URL(`../db/${file}`, import.meta.url), 'utf8');
      // Twice: both files may be applied again.
      await admin.query(sql);
      await admin.query(sql);
    }
  });
  after(async () => {
    await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await admin.end();
  });

  test('conversations come with their robot, newest first', async (t) => {
    const { url } = await startApp(t, env);
    await admin.query(`INSERT INTO conversations (robot_id, title, created_at)
      SELECT id, 'old', 'yesterday' FROM robots WHERE name = 'Grace'`);
    const list = async (query: string) => {
      const body = await (await fetch(`${url}/api/conversations${query}`)).json();
      return (body as { conversations: { title: string; robot: { id: string; name: string } }[] }).conversations;
    };
    const all = await list('');
    assert.equal(all.length, 4);
    assert.deepEqual([all.at(-1)!.title, all.at(-1)!.robot.name], ['old', 'Grace']);
    assert.equal((await list('?limit=2')).length, 2);
    const own = await list(`?robotId=${all.at(-1)!.robot.id}`);
    assert.deepEqual(new Set(own.map(({ robot }) => robot.name)), new Set(['Grace']));
  });

  test('an activation code buys one session, which may write', async (t) => {
    const { url } = await startApp(t, env);
    const post = (path: string, body: object, headers = {}) =>
      fetch(url + path, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) });
    const session = await post('/api/sessions', { code: 'TRIAL-ADA' });
    assert.equal(session.status, 201);
    const { token } = (await session.json()) as { token: string };
    assert.equal((await post('/api/sessions', { code: 'TRIAL-ADA' })).status, 401);
    const written = await post('/api/conversations', { title: 'by Ada' }, { authorization: `Bearer ${token}` });
    assert.equal(written.status, 201);
    const { rows } = await admin.query(`SELECT name FROM conversations c
      JOIN robots r ON r.id = robot_id WHERE title = 'by Ada'`);
    assert.deepEqual(rows, [{ name: 'Ada' }]);
  });

  test('health measures the database, and tells a full pool from a dead server', async (t) => {
    const { url } = await startApp(t, { ...env, WORKBOT_FAULTS: '1' });
    const health = async () => (await (await fetch(`${url}/api/health`)).json()) as Health;
    const calm = await health();
    assert.deepEqual([calm.status, calm.database.status, calm.database.pool.max], ['ok', 'ok', 3]);
    assert.ok(calm.database.latencyMs! >= 0);

    const slow = Array.from({ length: 4 }, () => fetch(`${url}/faults/slow-query?seconds=2`));
    let full = calm;
    for (const end = Date.now() + 1_900; full.database.pool.waiting === 0 && Date.now() < end;) full = await health();
    assert.deepEqual([full.status, full.database.status], ['warning', 'exhausted']);
    assert.match(full.message!, /all 3 connections of the pool are in use, 1 requests wait/);
    await Promise.all(slow);
    assert.equal((await health()).database.status, 'ok');
  });

  test('the N+1 fault asks one question per conversation', async (t) => {
    const { url } = await startApp(t, { ...env, WORKBOT_FAULTS: '1' });
    const { rows } = await admin.query('SELECT count(*)::int AS count FROM conversations');
    const { queries } = (await (await fetch(`${url}/faults/n-plus-one`)).json()) as { queries: number };
    assert.equal(queries, rows[0].count + 1);
  });
});

/** Says as much as a PostgreSQL server does to let somebody in, and is gone when it is asked something. */
test('a server that is gone in the middle of a question is told, and survived', async (t) => {
  const letIn = Buffer.from('R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I', 'latin1');
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write(letIn);
      socket.once('data', () => socket.resetAndDestroy());
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const { url } = await startApp(t, { DATABASE_URL: `postgresql://a:b@127.0.0.1:${port}/c` });
  for (let asked = 0; asked < 3; asked++) {
    const health = (await (await fetch(`${url}/api/health`)).json()) as Health;
    assert.deepEqual([health.status, health.database.status], ['error', 'error']);
  }
});
