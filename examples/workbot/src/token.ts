import { createHmac, timingSafeEqual } from 'node:crypto';

export interface Session {
  robotId: string;
  /** Seconds since 1970, as JWT has it. */
  exp: number;
}

const HEADER = encode({ alg: 'HS256', typ: 'JWT' });

/** A JSON Web Token (RFC 7519) signed with HMAC SHA-256. */
export function signToken(session: Session, secret: string): string {
  const content = `${HEADER}.${encode(session)}`;
  return `${content}.${signature(content, secret).toString('base64url')}`;
}

/** The session, or null when the token is malformed, not ours or expired. Only our own header is accepted. */
export function verifyToken(token: string, secret: string, now: number = Date.now()): Session | null {
  const [header, body, given, ...rest] = token.split('.');
  if (header !== HEADER || !body || !given || rest.length > 0) return null;
  const expected = signature(`${header}.${body}`, secret);
  const actual = Buffer.from(given, 'base64url');
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) return null;
  const session = JSON.parse(Buffer.from(body, 'base64url').toString()) as Session;
  return session.exp * 1000 > now ? session : null;
}

function signature(content: string, secret: string): Buffer {
  return createHmac('sha256', secret).update(content).digest();
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
