import type { FastifyInstance } from 'fastify';
import type { Database } from './database.ts';
import type { HealthOverride } from './health.ts';

/**
 * Ways to break this process on purpose, for tests of whatever watches it. Registered only when WORKBOT_FAULTS=1.
 * Each acts on the one worker that answers, and says which.
 */
export function faultRoutes(app: FastifyInstance, database: Database | undefined, override: HealthOverride): void {
  const leaked: unknown[] = [];
  const amount = (name: string, fallback: number, maximum: number) => ({
    schema: {
      querystring: {
        type: 'object',
        properties: { [name]: { type: 'integer', minimum: 1, maximum, default: fallback } },
      },
    },
  });

  app.post<{ Querystring: { ms: number } }>('/block', amount('ms', 1_000, 600_000), async ({ query }) => {
    const end = Date.now() + query.ms;
    while (Date.now() < end);
    return { pid: process.pid, blockedMs: query.ms };
  });

  app.post<{ Querystring: { mb: number } }>('/leak', amount('mb', 10, 4_096), async ({ query }) => {
    // Numbers that are no small integers, eight bytes each, in the V8 heap and not in a buffer outside it.
    for (let i = 0; i < query.mb; i += 1) leaked.push(Array.from({ length: 131_072 }, Math.random));
    return { pid: process.pid, leakedMb: leaked.length };
  });

  app.post<{ Params: { state: 'fail' | 'ok' } }>(
    '/health/:state',
    { schema: { params: { type: 'object', properties: { state: { enum: ['fail', 'ok'] } } } } },
    async ({ params }) => {
      override.fail = params.state === 'fail';
      return { pid: process.pid, fail: override.fail };
    },
  );

  if (!database) return;

  app.get<{ Querystring: { seconds: number } }>('/slow-query', amount('seconds', 1, 20), async ({ query }) => {
    await database.query('SELECT pg_sleep($1)', [query.seconds]);
    return { pid: process.pid, seconds: query.seconds };
  });

  app.get('/n-plus-one', async () => {
    const rows = await database.query<{ robot_id: string }>('SELECT robot_id FROM conversations ORDER BY id LIMIT 1000');
    for (const { robot_id } of rows) await database.query('SELECT name FROM robots WHERE id = $1', [robot_id]);
    return { pid: process.pid, queries: rows.length + 1 };
  });
}
