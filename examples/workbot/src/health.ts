import { getHeapStatistics } from 'node:v8';
import type { Config } from './config.ts';
import type { Database, DatabaseHealth } from './database.ts';
import type { WebSocketHealth } from './websocket.ts';

const MEMORY_WARNING_PERCENT = 90;
const DATABASE_TIMEOUT_MS = 2_000;
const MB = 1024 * 1024;

/** Sizes in MB (1024 x 1024 bytes), rounded to a tenth. */
export interface MemoryHealth {
  heapUsed: number;
  heapTotal: number;
  rss: number;
  /** heapUsed of heapTotal. Near 80 is normal for V8, which grows heapTotal on demand: reported, never judged. */
  usagePercent: number;
  /** What V8 lets the heap grow to, and heapUsed of that: the figure that says how near the process is to its end. */
  heapLimit: number;
  heapLimitPercent: number;
  /** RSS at which the process manager restarts the worker, and rss of that; only when MEMORY_RESTART_MB is set. */
  restartLimit?: number;
  restartLimitPercent?: number;
}

export interface Health {
  status: 'ok' | 'warning' | 'error';
  message?: string;
  timestamp: string;
  /** Seconds since the process started. */
  uptime: number;
  memory: MemoryHealth;
  database: DatabaseHealth;
  websocket: WebSocketHealth;
  environment: string;
  version: string;
  pid: number;
  /** PM2's number of the worker, 0 and up; null without PM2. */
  worker: number | null;
}

export interface RawMemory {
  heapUsed: number;
  heapTotal: number;
  rss: number;
  heapLimit: number;
}

export function readRawMemory(): RawMemory {
  const { heapUsed, heapTotal, rss } = process.memoryUsage();
  return { heapUsed, heapTotal, rss, heapLimit: getHeapStatistics().heap_size_limit };
}

export function describeMemory(raw: RawMemory, memoryRestartMb: number): MemoryHealth {
  const memory: MemoryHealth = {
    heapUsed: tenths(raw.heapUsed / MB),
    heapTotal: tenths(raw.heapTotal / MB),
    rss: tenths(raw.rss / MB),
    usagePercent: percent(raw.heapUsed, raw.heapTotal),
    heapLimit: tenths(raw.heapLimit / MB),
    heapLimitPercent: percent(raw.heapUsed, raw.heapLimit),
  };
  if (memoryRestartMb > 0) {
    memory.restartLimit = memoryRestartMb;
    memory.restartLimitPercent = percent(raw.rss, memoryRestartMb * MB);
  }
  return memory;
}

export function judge(
  memory: MemoryHealth,
  database: DatabaseHealth,
): { status: Health['status']; messages: string[] } {
  const errors: string[] = [];
  const warnings: string[] = [];
  if (database.status === 'error') errors.push(`the database did not answer within ${DATABASE_TIMEOUT_MS} ms`);
  if (database.status === 'exhausted') {
    warnings.push(`all ${database.pool.max} connections of the pool are in use, ${database.pool.waiting} requests wait`);
  }
  if (memory.heapLimitPercent > MEMORY_WARNING_PERCENT) {
    warnings.push(`the heap is at ${memory.heapLimitPercent} % of its limit, ${memory.heapLimit} MB`);
  }
  if ((memory.restartLimitPercent ?? 0) > MEMORY_WARNING_PERCENT) {
    warnings.push(`RSS is at ${memory.restartLimitPercent} % of the restart limit, ${memory.restartLimit} MB`);
  }
  const status = errors.length > 0 ? 'error' : warnings.length > 0 ? 'warning' : 'ok';
  return { status, messages: [...errors, ...warnings] };
}

export async function readHealth(
  config: Config,
  database: Database | undefined,
  websocket: WebSocketHealth,
): Promise<Health> {
  const memory = describeMemory(readRawMemory(), config.memoryRestartMb);
  const databaseHealth = database ? await database.health(DATABASE_TIMEOUT_MS) : withoutDatabase();
  const { status, messages } = judge(memory, databaseHealth);
  const instance = process.env.NODE_APP_INSTANCE;
  return {
    status,
    ...(messages.length > 0 && { message: messages.join('; ') }),
    timestamp: new Date().toISOString(),
    uptime: tenths(process.uptime()),
    memory,
    database: databaseHealth,
    websocket,
    environment: config.environment,
    version: config.version,
    pid: process.pid,
    worker: instance ? Number(instance) : null,
  };
}

function withoutDatabase(): DatabaseHealth {
  return { status: 'disabled', latencyMs: null, pool: { total: 0, idle: 0, waiting: 0, max: 0 } };
}

function percent(part: number, whole: number): number {
  return tenths((part / whole) * 100);
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
