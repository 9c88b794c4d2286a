import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Database } from './database.ts';

const HEALTH_FAULTS = ['fail', '500', 'lie', 'drip', 'redirect', 'slow'] as const;
type HealthFault = (typeof HEALTH_FAULTS)[number];

/** What the faults file may hold. It breaks every process that reads it, those that are started later included. */
interface Armed {
  /** Exits so long after the start. */
  exitAfterMs?: number;
  health?: HealthFault;
}

const DRIP_MS = 1_000;
const SLOW_MS = 30_000;
const MB = 1024 * 1024;

/**
 * Ways to break this process on purpose, for tests of whatever watches it; only when WORKBOT_FAULTS=1. The routes act
 * on the one worker that answers, and say which; the file acts on all.
 */
export class Faults {
  readonly #file: string;
  #health: HealthFault | undefined;
  /** What is leaked must stay reachable. */
  readonly #leaked: unknown[] = [];

  constructor(file: string) {
    this.#file = file;
    const { exitAfterMs } = this.#armed();
    if (exitAfterMs !== undefined) setTimeout(() => process.exit(1), exitAfterMs).unref();
  }

  /** Takes health over as long as it is broken. To be called before the routes are declared. */
  breakHealth(app: FastifyInstance): void {
    app.addHook('onRequest', async (request, reply) => {
      if (request.url.split('?', 1)[0] !== '/api/health') return;
      const fault = this.#health ?? this.#armed().health;
      if (fault === 'slow') await sleep(SLOW_MS);
      else if (fault) return answerBroken(fault, reply);
    });
  }

  routes(app: FastifyInstance, database: Database | undefined): void {
    this.#processRoutes(app);
    if (database) databaseRoutes(app, database);
  }

  #processRoutes(app: FastifyInstance): void {
    app.post<{ Querystring: { ms: number } }>('/block', amount('ms', 1_000, 600_000), async ({ query }) => {
      const end = Date.now() + query.ms;
      while (Date.now() < end);
      return { pid: process.pid, blockedMs: query.ms };
    });

    app.post<{ Querystring: { mb: number } }>('/leak', amount('mb', 10, 4_096), async ({ query }) => {
      for (let i = 0; i < query.mb; i += 1) this.#leaked.push(heapMegabyte());
      return { pid: process.pid, leakedMb: query.mb };
    });

    app.post<{ Querystring: { mb: number } }>('/buffers', amount('mb', 10, 4_096), async ({ query }) => {
      // Filled, or the kernel would give no memory for them.
      for (let i = 0; i < query.mb; i += 1) this.#leaked.push(Buffer.alloc(MB, 1));
      return { pid: process.pid, leakedMb: query.mb };
    });

    app.post('/exhaust', async () => {
      setTimeout(() => {
        for (;;) this.#leaked.push(heapMegabyte());
      }, 50);
      return { pid: process.pid };
    });

    app.post<{ Querystring: { ms: number } }>('/exit', amount('ms', 50, 600_000), async ({ query }) => {
      setTimeout(() => process.exit(1), query.ms);
      return { pid: process.pid, exitAfterMs: query.ms };
    });

    app.post<{ Params: { state: HealthFault | 'ok' } }>(
      '/health/:state',
      { schema: { params: { type: 'object', properties: { state: { enum: [...HEALTH_FAULTS, 'ok'] } } } } },
      async ({ params }) => {
        this.#health = params.state === 'ok' ? undefined : params.state;
        return { pid: process.pid, health: params.state };
      },
    );
  }

  #armed(): Armed {
    try {
      return JSON.parse(readFileSync(this.#file, 'utf8')) as Armed;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
      throw error;
    }
  }
}

/** Numbers that are no small integers, eight bytes each, in the V8 heap and not in a buffer outside it. */
function heapMegabyte(): number[] {
  return Array.from({ length: 131_072 }, Math.random);
}

function amount(name: string, fallback: number, maximum: number) {
  const properties = { [name]: { type: 'integer', minimum: 1, maximum, default: fallback } };
  return { schema: { querystring: { type: 'object', properties } } };
}

function answerBroken(fault: Exclude<HealthFault, 'slow'>, reply: FastifyReply): FastifyReply {
  const health = { status: 'error', message: 'health is made to fail by a fault', pid: process.pid };
  if (fault === 'redirect') return reply.redirect('http://elsewhere.invalid/');
  if (fault === 'drip') return drip(reply);
  return reply.code({ fail: 503, '500': 500, lie: 200 }[fault]).send(health);
}

/** An answer that is never complete and never silent for long. */
function drip(reply: FastifyReply): FastifyReply {
  reply.hijack();
  reply.raw.writeHead(200, { 'content-type': 'application/json' });
  reply.raw.write('{"status": "ok"');
  const drop = setInterval(() => reply.raw.write(' '), DRIP_MS);
  reply.raw.on('close', () => clearInterval(drop));
  return reply;
}

function databaseRoutes(app: FastifyInstance, database: Database): void {
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
