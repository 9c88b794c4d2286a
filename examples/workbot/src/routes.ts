import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Config } from './config.ts';
import type { Database } from './database.ts';
import { clientAddress } from './rateLimit.ts';
import type { RateLimit } from './rateLimit.ts';
import { signToken, verifyToken } from './token.ts';
import type { Session } from './token.ts';

const SESSION_SECONDS = 3_600;

/** An answer with a status that is not a fault of the service. */
export class HttpError extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

interface ConversationRow {
  id: string;
  title: string;
  createdAt: Date;
  robotId: string;
  robotName: string;
  robotModel: string;
}

// One JOIN reads the robots along: a query per conversation would be the N+1 of the slow-query report.
const CONVERSATIONS = `
  SELECT c.id, c.title, c.created_at AS "createdAt",
         r.id AS "robotId", r.name AS "robotName", r.model AS "robotModel"
  FROM conversations c
  JOIN robots r ON r.id = c.robot_id
  WHERE $1::bigint IS NULL OR c.robot_id = $1
  ORDER BY c.created_at DESC, c.id DESC
  LIMIT $2`;

const USE_CODE = `
  UPDATE activation_codes
  SET status = 'used', used_at = now()
  WHERE code = $1 AND status = 'unused' AND expires_at > now()
  RETURNING robot_id AS "robotId"`;

const ADD_CONVERSATION = `
  INSERT INTO conversations (robot_id, title) VALUES ($1, $2)
  RETURNING id, title, created_at AS "createdAt"`;

const identifier = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER };
const listQuery = {
  type: 'object',
  properties: { robotId: identifier, limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 } },
};
const sessionBody = {
  type: 'object',
  required: ['code'],
  properties: { code: { type: 'string', minLength: 1, maxLength: 100 } },
};
const conversationBody = {
  type: 'object',
  required: ['title'],
  properties: { title: { type: 'string', minLength: 1, maxLength: 200 } },
};

/** Everything under /api but health, which must answer a monitor whatever the limit says. */
export function apiRoutes(
  api: FastifyInstance,
  config: Config,
  database: Database | undefined,
  limit: RateLimit,
): void {
  limitRate(api, config, limit);
  const requireDatabase = (): Database => {
    if (!database) throw new HttpError(503, 'the service runs without a database');
    return database;
  };

  api.get<{ Querystring: { robotId?: number; limit: number } }>(
    '/conversations',
    { schema: { querystring: listQuery } },
    async ({ query }) => {
      const rows = await requireDatabase().query<ConversationRow>(CONVERSATIONS, [query.robotId ?? null, query.limit]);
      return { conversations: rows.map(conversation) };
    },
  );

  api.post<{ Body: { title: string } }>(
    '/conversations',
    { schema: { body: conversationBody } },
    async (request, reply) => {
      const { robotId } = requireSession(request, config.jwtSecret);
      const rows = await requireDatabase().query(ADD_CONVERSATION, [robotId, request.body.title]);
      return reply.code(201).send(rows[0]);
    },
  );

  api.post<{ Body: { code: string } }>('/sessions', { schema: { body: sessionBody } }, async (request, reply) => {
    const [robot] = await requireDatabase().query<{ robotId: string }>(USE_CODE, [request.body.code]);
    if (!robot) throw new HttpError(401, 'the activation code is unknown, used or expired');
    const exp = Math.floor(Date.now() / 1000) + SESSION_SECONDS;
    const token = signToken({ robotId: robot.robotId, exp }, config.jwtSecret);
    return reply.code(201).send({ token, expiresIn: SESSION_SECONDS });
  });

  // Here, so that guessing at paths is limited too.
  api.setNotFoundHandler(() => {
    throw new HttpError(404, 'there is nothing here');
  });
}

function limitRate(api: FastifyInstance, config: Config, limit: RateLimit): void {
  const onUnixSocket = 'path' in config.listen;
  api.addHook('onRequest', async (request, reply) => {
    const waitMs = await limit.take(clientAddress(request.raw, onUnixSocket));
    if (waitMs === 0) return;
    reply.header('retry-after', Math.ceil(waitMs / 1000));
    throw new HttpError(429, 'too many requests, try again later');
  });
}

function conversation({ robotId, robotName, robotModel, ...own }: ConversationRow): object {
  return { ...own, robot: { id: robotId, name: robotName, model: robotModel } };
}

function requireSession(request: FastifyRequest, secret: string): Session {
  const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
  const session = token && verifyToken(token, secret);
  if (!session) throw new HttpError(401, 'a valid token is needed: Authorization: Bearer ...');
  return session;
}
