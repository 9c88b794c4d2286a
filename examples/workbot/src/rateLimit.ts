import { isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';

/** Who may go on, and who must wait. */
export interface RateLimit {
  /** 0 when the request is allowed, else the milliseconds until one will be. */
  take(key: string): number | Promise<number>;
  /** Ends what it has open. */
  close(): void;
}

/**
 * An exact sliding window of this process: in any span of `windowMs` at most `requests` are allowed for one key. Keeps the times of
 * the allowed requests; refused ones do not count, so a client that goes on asking is served again in time.
 */
export class SlidingWindow implements RateLimit {
  readonly #times = new Map<string, number[]>();
  readonly #requests: number;
  readonly #windowMs: number;
  readonly #now: () => number;

  constructor(requests: number, windowMs: number, now: () => number = performance.now.bind(performance)) {
    this.#requests = requests;
    this.#windowMs = windowMs;
    this.#now = now;
  }

  /** How many keys are remembered: those with a request allowed in the last window. */
  get size(): number {
    return this.#times.size;
  }

  /** Returns 0 when the request is allowed, else the milliseconds until one will be. */
  take(key: string): number {
    const now = this.#now();
    this.#forget(now);
    const times = (this.#times.get(key) ?? []).filter((time) => now - time < this.#windowMs);
    if (times.length >= this.#requests) return times[0]! + this.#windowMs - now;
    times.push(now);
    // Put last: the map stays in the order of last use, which makes forgetting cheap.
    this.#times.delete(key);
    this.#times.set(key, times);
    return 0;
  }

  close(): void {
    this.#times.clear();
  }

  #forget(now: number): void {
    for (const [key, times] of this.#times) {
      if (now - times.at(-1)! < this.#windowMs) return;
      this.#times.delete(key);
    }
  }
}

/**
 * The client's address. Headers are believed only from a proxy on this host: any client can send them. Of
 * X-Forwarded-For only the last entry is the proxy's own; those before it are what the client claimed.
 */
export function clientAddress(request: IncomingMessage, onUnixSocket: boolean): string {
  const peer = request.socket.remoteAddress ?? '';
  if (!onUnixSocket && !isLoopback(peer)) return peer;
  const real = String(request.headers['x-real-ip'] ?? '').trim();
  if (isIP(real)) return real;
  const forwarded = String(request.headers['x-forwarded-for'] ?? '').split(',').at(-1)!.trim();
  return isIP(forwarded) ? forwarded : peer || 'local';
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address);
}
