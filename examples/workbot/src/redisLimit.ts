import { randomUUID } from 'node:crypto';
import { createClient } from '@redis/client';
import type { RedisClientType } from '@redis/client';
import { createErrorLog } from './logging.ts';
import type { Logger } from './logging.ts';
import type { RateLimit } from './rateLimit.ts';

/** Redis' own clock counts, so that hosts need not agree in theirs. Returns 0, or the milliseconds to wait. */
const TAKE = `
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local window = tonumber(ARGV[2])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then
    local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    return oldest[2] + window - now
  end
  redis.call('ZADD', KEYS[1], now, ARGV[3])
  redis.call('PEXPIRE', KEYS[1], window)
  return 0`;
const PATIENCE_MS = 200;
const RECONNECT_MS = 1_000;

/**
 * The exact sliding window of all processes on all hosts together. When Redis does not answer, requests are allowed and
 * a warning is logged: a limit must not be what takes the service down.
 */
export class RedisSlidingWindow implements RateLimit {
  readonly #client: RedisClientType;
  readonly #requests: number;
  readonly #windowMs: number;
  readonly #prefix: string;
  readonly #warn: (topic: string, error: unknown) => void;

  constructor(url: string, requests: number, windowMs: number, log: Logger, prefix = 'workbot:rate-limit:') {
    this.#requests = requests;
    this.#windowMs = windowMs;
    this.#prefix = prefix;
    this.#warn = createErrorLog(log, Date.now, 'warn');
    this.#client = createClient({
      url,
      // Without a connection a request fails at once, it does not wait for one.
      disableOfflineQueue: true,
      socket: { connectTimeout: 2_000, reconnectStrategy: (attempt) => Math.min(50 * (attempt + 1), RECONNECT_MS) },
    });
    this.#client.on('error', (error) => this.#warn('redis connection failed', error));
    void this.#client.connect().catch((error: unknown) => this.#warn('redis connection failed', error));
  }

  async take(key: string): Promise<number> {
    try {
      return await this.#ask(key);
    } catch (error) {
      this.#warn('redis does not answer: requests are not limited', error);
      return 0;
    }
  }

  close(): void {
    this.#client.destroy();
  }

  async #ask(key: string): Promise<number> {
    const asked = this.#client.eval(TAKE, {
      keys: [this.#prefix + key],
      arguments: [String(this.#requests), String(this.#windowMs), randomUUID()],
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
    });
    try {
      return Number(await Promise.race([asked, late]));
    } finally {
      clearTimeout(timer);
    }
  }
}
