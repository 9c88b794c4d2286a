import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, readConfig } from '../src/config.ts';
import { SECRET } from './support.ts';

test('production and development have their own pool defaults', () => {
  assert.deepEqual(readConfig({ NODE_ENV: 'production', JWT_SECRET: SECRET }).pool, {
    max: 20, min: 5, idleTimeoutMs: 10_000, connectTimeoutMs: 10_000,
  });
  assert.deepEqual(readConfig({}).pool, { max: 10, min: 1, idleTimeoutMs: 10_000, connectTimeoutMs: 10_000 });
});

test('limits have the defaults that the README names, and faults are off', () => {
  const config = readConfig({});
  assert.deepEqual(config.websocket, { max: 100, heartbeatMs: 30_000, busyAbove: 50 });
  assert.deepEqual(config.rateLimit, { requests: 10, windowMs: 10_000, redisUrl: '' });
  assert.equal(config.stopDrainMs, 3_500);
  assert.equal(config.faults, false);
});

test('PORT may be a number or the path of a socket', () => {
  assert.deepEqual(readConfig({ PORT: '8000' }).listen, { port: 8000, host: '127.0.0.1' });
  assert.deepEqual(readConfig({ PORT: '/run/workbot/a.sock' }).listen, { path: '/run/workbot/a.sock' });
});

const refused: [string, Record<string, string>, RegExp][] = [
  ['a port out of range', { PORT: '65536' }, /PORT is "65536"/],
  ['a relative socket path', { PORT: 'a.sock' }, /PORT is "a.sock"/],
  ['a negative pool', { DB_POOL_MAX: '-1' }, /DB_POOL_MAX is "-1"/],
  ['a fraction', { RATE_LIMIT_REQUESTS: '1.5' }, /RATE_LIMIT_REQUESTS is "1.5"/],
  ['zero connections', { WS_MAX_CONNECTIONS: '0' }, /WS_MAX_CONNECTIONS is "0"/],
  ['a minimum above the maximum', { DB_POOL_MIN: '11', DB_POOL_MAX: '10' }, /DB_POOL_MIN is 11/],
  ['an unknown log level', { LOG_LEVEL: 'loud' }, /LOG_LEVEL is "loud"/],
  ['another database', { DATABASE_URL: 'mysql://x' }, /DATABASE_URL must start with/],
  ['production without a secret', { NODE_ENV: 'production' }, /JWT_SECRET is not set/],
  ['a short secret', { JWT_SECRET: 'hunter2' }, /JWT_SECRET has 7 characters/],
];
for (const [name, env, expected] of refused) {
  test(`refused: ${name}`, () => {
    assert.throws(() => readConfig(env), (error) => error instanceof ConfigError && expected.test(error.message));
  });
}

test('all problems are told at once, and no secret', () => {
  assert.throws(
    () => readConfig({ PORT: 'x', DB_POOL_MAX: 'y', JWT_SECRET: 'hunter2' }),
    (error: Error) => error.message.split('\n').length === 3 && !error.message.includes('hunter2'),
  );
});
