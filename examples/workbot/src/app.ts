import { fastify } from 'fastify';
import type { FastifyError, FastifyInstance } from 'fastify';
import type { Config } from './config.ts';
import { Database } from './database.ts';
import { Faults } from './faults.ts';
import { readHealth } from './health.ts';
import { createErrorLog } from './logging.ts';
import type { Logger } from './logging.ts';
import { SlidingWindow } from './rateLimit.ts';
import type { RateLimit } from './rateLimit.ts';
import { RedisSlidingWindow } from './redisLimit.ts';
import { HttpError, apiRoutes } from './routes.ts';
import { WebSockets } from './websocket.ts';

/** The whole service, not yet listening. `close()` stops it in order: requests, WebSockets, database. */
export function createApp(config: Config, log: Logger): FastifyInstance {
  const logError = createErrorLog(log);
  const database = config.databaseUrl
    ? new Database(config, (error) => logError('database connection lost', error))
    : undefined;
  const websockets = new WebSockets(config, log);
  const limit = createRateLimit(config, log);
  const app = fastify({
    logger: false,
    // Requests that still arrive on open connections during a stop are served, not refused.
    return503OnClosing: false,
  });

  app.setErrorHandler<FastifyError>((error, _request, reply) => {
    const { statusCode = 500 } = error;
    if (statusCode < 500 || error instanceof HttpError) return reply.code(statusCode).send({ error: error.message });
    logError('request failed', error);
    return reply.code(500).send({ error: 'internal error' });
  });
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request;
    const ms = Math.round(reply.elapsedTime);
    log.debug({ method, route: routeOptions.url, status: reply.statusCode, ms }, 'request');
  });

  if (config.faults) {
    const faults = new Faults(config.faultsFile);
    faults.breakHealth(app);
    app.register(async (routes) => faults.routes(routes, database), { prefix: '/faults' });
  }

  app.get('/', async () => ({
    service: 'workbot',
    version: config.version,
    health: '/api/health',
    conversations: '/api/conversations',
    websocket: '/ws',
  }));
  app.get('/api/health', async (_request, reply) => {
    const health = await readHealth(config, database, websockets.health());
    return reply.code(health.status === 'error' ? 503 : 200).header('cache-control', 'no-store').send(health);
  });
  app.register(async (api) => apiRoutes(api, config, database, limit), { prefix: '/api' });

  websockets.attach(app.server);
  app.addHook('preClose', () => websockets.close());
  app.addHook('onClose', async () => {
    limit.close();
    await database?.end();
  });
  return app;
}

function createRateLimit(config: Config, log: Logger): RateLimit {
  const { requests, windowMs, redisUrl } = config.rateLimit;
  return redisUrl
    ? new RedisSlidingWindow(redisUrl, requests, windowMs, log)
    : new SlidingWindow(requests, windowMs);
}
