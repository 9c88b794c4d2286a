import { pino } from 'pino';
import type { Logger } from 'pino';

export type { Logger };

export function createLogger(level: string): Logger {
  return pino({ level });
}

const QUIET_MS = 10_000;

/**
 * Logs an error at most once in ten seconds for each topic, with the number left out since: an outage of the
 * database must not fill the disk with one line for each request.
 */
export function createErrorLog(
  log: Logger,
  now: () => number = Date.now,
  level: 'error' | 'warn' = 'error',
): (topic: string, error: unknown) => void {
  const topics = new Map<string, { until: number; suppressed: number }>();
  return (topic, error) => {
    const entry = topics.get(topic) ?? { until: 0, suppressed: 0 };
    topics.set(topic, entry);
    if (now() < entry.until) {
      entry.suppressed += 1;
      return;
    }
    log[level]({ err: error, suppressed: entry.suppressed }, topic);
    entry.until = now() + QUIET_MS;
    entry.suppressed = 0;
  };
}
