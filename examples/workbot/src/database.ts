import pg from 'pg';
import type { Config } from './config.ts';

const QUERY_TIMEOUT_MS = 30_000;

export interface DatabaseHealth {
  /** `exhausted`: the server answers, but every connection of the pool is in use. */
  status: 'ok' | 'exhausted' | 'error' | 'disabled';
  latencyMs: number | null;
  pool: { total: number; idle: number; waiting: number; max: number };
}

export class Database {
  readonly #pool: pg.Pool;
  readonly #options: pg.PoolConfig;
  readonly #max: number;
  #ping: Promise<DatabaseHealth> | undefined;

  constructor(config: Config, onError: (error: unknown) => void) {
    this.#max = config.pool.max;
    this.#options = {
      connectionString: config.databaseUrl,
      connectionTimeoutMillis: config.pool.connectTimeoutMs,
      application_name: 'workbot',
    };
    this.#pool = new pg.Pool({
      ...this.#options,
      max: config.pool.max,
      min: config.pool.min,
      idleTimeoutMillis: config.pool.idleTimeoutMs,
      query_timeout: QUERY_TIMEOUT_MS,
    });
    // Without a listener the loss of an idle connection would end the process.
    this.#pool.on('error', onError);
    // And the loss of one that is in use: whoever uses it gets the error from the question that it broke off.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#pool.query<Row>(text, values)).rows;
  }

  /** Answers within `timeoutMs`, whatever the server or the pool does. Concurrent callers share one question. */
  health(timeoutMs: number): Promise<DatabaseHealth> {
    this.#ping ??= this.#measure(timeoutMs).finally(() => {
      this.#ping = undefined;
    });
    return this.#ping;
  }

  async end(): Promise<void> {
    await this.#pool.end();
  }

  async #measure(timeoutMs: number): Promise<DatabaseHealth> {
    const pool = this.#pool;
    const exhausted = pool.totalCount >= this.#max && pool.idleCount === 0;
    const started = performance.now();
    let status: DatabaseHealth['status'] = exhausted ? 'exhausted' : 'ok';
    try {
      // Waiting for the pool would say nothing about the server: a full pool is asked past, over one connection more.
      await (exhausted ? this.#askDirectly(timeoutMs) : this.#askThroughPool(timeoutMs));
    } catch {
      status = 'error';
    }
    return {
      status,
      latencyMs: status === 'error' ? null : Math.round((performance.now() - started) * 10) / 10,
      pool: { total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount, max: this.#max },
    };
  }

  async #askThroughPool(timeoutMs: number): Promise<void> {
    const checkout = this.#pool.connect();
    try {
      await within(checkout.then((client) => client.query('SELECT 1')), timeoutMs);
      (await checkout).release();
    } catch (error) {
      // A connection that did not answer in time must not go back to the pool, even if it arrives only now.
      checkout.then((client) => client.release(true), () => undefined);
      throw error;
    }
  }

  async #askDirectly(timeoutMs: number): Promise<void> {
    const client = new pg.Client({ ...this.#options, connectionTimeoutMillis: timeoutMs });
    client.on('error', () => undefined);
    try {
      await within(client.connect().then(() => client.query('SELECT 1')), timeoutMs);
    } finally {
      client.end().catch(() => undefined);
    }
  }
}

async function within(work: Promise<unknown>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
