import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';

export type Listen = { path: string } | { port: number; host: string };

export interface Config {
  environment: 'production' | 'development';
  version: string;
  listen: Listen;
  logLevel: string;
  /** Empty in development when not set: server.ts then makes a random one. */
  jwtSecret: string;
  /** Empty when the service runs without a database. */
  databaseUrl: string;
  pool: { max: number; min: number; idleTimeoutMs: number; connectTimeoutMs: number };
  websocket: { max: number; heartbeatMs: number; busyAbove: number };
  /** Without a redisUrl each process counts for itself. */
  rateLimit: { requests: number; windowMs: number; redisUrl: string };
  /** RSS at which the process manager restarts a worker; 0 when unknown. */
  memoryRestartMb: number;
  stopTimeoutMs: number;
  /** How long kept-alive connections may go on before the stop closes them. */
  stopDrainMs: number;
  faults: boolean;
  /** Empty without. */
  faultsFile: string;
}

/** Everything that is wrong with the environment, one line per variable. Never holds a secret's value. */
export class ConfigError extends Error {}

type ReadInteger = (name: string, fallback: number, min: number, max?: number) => number;
type Environment = Record<string, string | undefined>;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];
const JWT_SECRET_MIN_LENGTH = 32;

export function readConfig(env: Environment): Config {
  const problems: string[] = [];
  const production = env.NODE_ENV === 'production';
  const integer: ReadInteger = (name, fallback, min, max = 2 ** 31 - 1) => {
    const text = env[name] || String(fallback);
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    problems.push(`${name} is "${text}"; it must be an integer from ${min} to ${max}`);
    return fallback;
  };

  const config: Config = {
    environment: production ? 'production' : 'development',
    version: packageVersion(),
    listen: readListen(env, integer),
    logLevel: env.LOG_LEVEL || (production ? 'info' : 'debug'),
    jwtSecret: env.JWT_SECRET ?? '',
    databaseUrl: env.DATABASE_URL ?? '',
    pool: {
      max: integer('DB_POOL_MAX', production ? 20 : 10, 1, 10_000),
      min: integer('DB_POOL_MIN', production ? 5 : 1, 0, 10_000),
      idleTimeoutMs: integer('DB_POOL_IDLE_TIMEOUT_MS', 10_000, 0),
      connectTimeoutMs: integer('DB_POOL_CONNECT_TIMEOUT_MS', 10_000, 1),
    },
    websocket: {
      max: integer('WS_MAX_CONNECTIONS', 100, 1),
      heartbeatMs: integer('WS_HEARTBEAT_MS', 30_000, 10, 2 ** 30 - 1),
      busyAbove: integer('WS_HEARTBEAT_BUSY_ABOVE', 50, 0),
    },
    rateLimit: {
      requests: integer('RATE_LIMIT_REQUESTS', 10, 1, 1_000_000),
      windowMs: integer('RATE_LIMIT_WINDOW_MS', 10_000, 1),
      redisUrl: env.RATE_LIMIT_REDIS_URL ?? '',
    },
    memoryRestartMb: integer('MEMORY_RESTART_MB', 0, 0),
    stopTimeoutMs: integer('STOP_TIMEOUT_MS', 5_000, 1),
    stopDrainMs: integer('STOP_DRAIN_MS', 3_500, 0),
    faults: env.WORKBOT_FAULTS === '1',
    faultsFile: env.WORKBOT_FAULTS_FILE ?? '',
  };

  problems.push(...contradictions(config, env));
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  return config;
}

function contradictions(config: Config, env: Environment): string[] {
  const problems: string[] = [];
  if (!LOG_LEVELS.includes(config.logLevel)) {
    problems.push(`LOG_LEVEL is "${config.logLevel}"; it must be one of ${LOG_LEVELS.join(', ')}`);
  }
  if (config.pool.min > config.pool.max) {
    problems.push(`DB_POOL_MIN is ${config.pool.min}, above DB_POOL_MAX, ${config.pool.max}`);
  }
  if (config.databaseUrl && !/^postgres(ql)?:\/\//.test(config.databaseUrl)) {
    problems.push('DATABASE_URL must start with postgresql://');
  }
  if (config.rateLimit.redisUrl && !/^rediss?:\/\//.test(config.rateLimit.redisUrl)) {
    problems.push('RATE_LIMIT_REDIS_URL must start with redis:// or rediss://');
  }
  const length = config.jwtSecret.length;
  if (length < JWT_SECRET_MIN_LENGTH && (length > 0 || config.environment === 'production')) {
    const found = env.JWT_SECRET === undefined ? 'is not set' : `has ${length} characters`;
    problems.push(`JWT_SECRET ${found}; it must have at least ${JWT_SECRET_MIN_LENGTH}`);
  }
  return problems;
}

/** PORT is a number or, as PM2 and Nginx like it best, the absolute path of a unix socket. */
function readListen(env: Environment, integer: ReadInteger): Listen {
  const port = env.PORT ?? '';
  if (isAbsolute(port)) return { path: port };
  return { port: integer('PORT', 3000, 0, 65_535), host: env.HOST || '127.0.0.1' };
}

function packageVersion(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
