import cluster from 'node:cluster';
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { createApp } from './app.ts';
import { ConfigError, readConfig } from './config.ts';
import type { Config } from './config.ts';
import { drain } from './drain.ts';
import { createLogger } from './logging.ts';
import type { Logger } from './logging.ts';
import { removeStaleSocket } from './socketFile.ts';

function loadConfig(): Config {
  try {
    return readConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`workbot cannot start:\n${error.message}\n`);
    process.exit(1);
  }
}

/** Ends the process in good order, or after the time limit without. */
function stopOnSignals(app: FastifyInstance, config: Config, log: Logger): void {
  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.error({ limitMs: config.stopTimeoutMs }, 'stopped by the time limit');
      process.exit(1);
    }, config.stopTimeoutMs).unref();
    await drain(app.server, config.stopDrainMs);
    await app.close();
    log.info('stopped');
    leave();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

/** Lets go of the parent, after which nothing keeps the process. Unlike exit(), PM2's log streams write their last line. */
function leave(): void {
  if (cluster.worker) cluster.worker.disconnect();
  else process.disconnect?.();
}

const config = loadConfig();
const log = createLogger(config.logLevel);
if (!config.jwtSecret) {
  config.jwtSecret = randomBytes(32).toString('hex');
  log.warn('JWT_SECRET is not set: sessions end with this process');
}
const app = createApp(config, log);
stopOnSignals(app, config, log);
// In a cluster the socket belongs to the primary process, here PM2: other workers may be serving on it.
if ('path' in config.listen && cluster.isPrimary) await removeStaleSocket(config.listen.path);
await app.listen(config.listen);
log.info({ address: app.server.address(), version: config.version, environment: config.environment }, 'listening');
process.send?.('ready');
