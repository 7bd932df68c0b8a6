/** Access tokens that carry their own expiry, so that they outlive a restart of the sandbox; revocations do not. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { ApiError } from './api-error.ts';

export const ORG_ID = '00DHw0000000001EAA';
const REVOKED_MAX = 10_000;

export interface TokenSettings {
  readonly secret: string;
  readonly lifeMs: number;
  readonly now: () => number;
}

export class Tokens {
  private readonly settings: TokenSettings;
  private readonly revoked = new Set<string>();
  /** Tokens of earlier generations are refused: raised to expire all at once. */
  private generation = 0;

  constructor(settings: TokenSettings) {
    this.settings = settings;
  }

  issue(kind: 'access' | 'refresh'): string {
    const until = kind === 'access' ? this.settings.now() + this.settings.lifeMs : Number.MAX_SAFE_INTEGER;
    const body = [
      kind === 'access' ? 'a' : 'r',
      this.generation,
      until.toString(36),
      randomBytes(9).toString('base64url'),
    ].join('.');
    return `${ORG_ID.slice(0, 15)}!${body}.${this.sign(body)}`;
  }

  isValid(token: string, kind: 'access' | 'refresh'): boolean {
    const body = token.slice(token.indexOf('!') + 1);
    const parts = body.split('.');
    const signature = parts.pop() ?? '';
    const [letter, generation, until] = parts;
    const expected = Buffer.from(this.sign(parts.join('.')));
    const given = Buffer.from(signature);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false;
    if (this.revoked.has(token) || letter !== (kind === 'access' ? 'a' : 'r')) return false;
    if (kind === 'access' && Number(generation) !== this.generation) return false;
    return Number.parseInt(until ?? '0', 36) > this.settings.now();
  }

  revoke(token: string): void {
    if (this.revoked.size < REVOKED_MAX) this.revoked.add(token);
  }

  expireAll(): void {
    this.generation++;
  }

  /** Checks an Authorization header. */
  authorize(header: string | undefined): void {
    const token = /^(?:Bearer|OAuth) (\S+)$/.exec(header ?? '')?.[1];
    if (token === undefined || !this.isValid(token, 'access')) {
      throw new ApiError(401, 'INVALID_SESSION_ID', 'Session expired or invalid', {
        'www-authenticate': 'Token',
      });
    }
  }

  private sign(body: string): string {
    return createHmac('sha256', this.settings.secret).update(body).digest('base64url');
  }
}
