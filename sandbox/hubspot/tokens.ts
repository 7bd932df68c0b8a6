/** Access tokens of half an hour, refresh tokens without end, one private-app token, and authorization codes for one use. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { HubError } from './hub-error.ts';

const CODES_MAX = 1000;
const CODE_LIFE_MS = 60_000;

export interface TokenSettings {
  readonly secret: string;
  /** The token of a private app, which does not expire by itself. */
  readonly privateToken: string;
  readonly lifeMs: number;
  readonly now: () => number;
}

export interface TokenFacts {
  readonly kind: 'access' | 'refresh' | 'private';
  /** Milliseconds; undefined for tokens without end. */
  readonly lifeLeftMs: number | undefined;
}

export class Tokens {
  readonly settings: TokenSettings;
  /** Access tokens of earlier generations are expired: raised to expire all at once. */
  private generation = 0;
  private refreshGeneration = 0;
  private readonly codes = new Map<string, { readonly redirectUri: string; readonly until: number }>();

  constructor(settings: TokenSettings) {
    this.settings = settings;
  }

  issue(kind: 'access' | 'refresh'): string {
    const { now, lifeMs } = this.settings;
    const generation = kind === 'access' ? this.generation : this.refreshGeneration;
    const until = kind === 'access' ? now() + lifeMs : Number.MAX_SAFE_INTEGER;
    const body = `${kind === 'access' ? 'a' : 'r'}.${generation}.${until.toString(36)}.${randomBytes(9).toString('base64url')}`;
    return `na1-${body}.${this.sign(body)}`;
  }

  issueCode(redirectUri: string): string {
    if (this.codes.size >= CODES_MAX) this.codes.clear();
    const code = randomBytes(12).toString('hex');
    this.codes.set(code, { redirectUri, until: this.settings.now() + CODE_LIFE_MS });
    return code;
  }

  /** True once for a code, with the redirect that it was issued for. */
  takeCode(code: string, redirectUri: string): boolean {
    const found = this.codes.get(code);
    this.codes.delete(code);
    return found !== undefined && found.redirectUri === redirectUri && found.until > this.settings.now();
  }

  /** What a token is; 'expired' for one that was ours. */
  inspect(token: string): TokenFacts | 'expired' | undefined {
    if (token === this.settings.privateToken) return { kind: 'private', lifeLeftMs: undefined };
    const parts = token.replace(/^na1-/, '').split('.');
    const signature = Buffer.from(parts.pop() ?? '');
    const expected = Buffer.from(this.sign(parts.join('.')));
    if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) return undefined;
    const [letter, generation, until = '0'] = parts;
    if (letter === 'r')
      return Number(generation) === this.refreshGeneration
        ? { kind: 'refresh', lifeLeftMs: undefined }
        : 'expired';
    const left = Number.parseInt(until, 36) - this.settings.now();
    if (Number(generation) !== this.generation || left <= 0) return 'expired';
    return { kind: 'access', lifeLeftMs: left };
  }

  expireAll(): void {
    this.generation++;
  }

  /** As when the app is uninstalled: refreshing is refused too. */
  revokeAll(): void {
    this.generation++;
    this.refreshGeneration++;
  }

  authorize(header: string | undefined): void {
    const token = /^Bearer (\S+)$/i.exec(header ?? '')?.[1];
    const facts = token === undefined ? undefined : this.inspect(token);
    if (facts === 'expired') {
      throw new HubError(
        401,
        'EXPIRED_AUTHENTICATION',
        'The OAuth token used to make this call expired 1 second(s) ago.',
      );
    }
    if (facts === undefined || facts.kind === 'refresh') {
      throw new HubError(
        401,
        'INVALID_AUTHENTICATION',
        'Authentication credentials not found. This API supports OAuth 2.0 authentication.',
      );
    }
  }

  private sign(body: string): string {
    return createHmac('sha256', this.settings.secret).update(body).digest('base64url');
  }
}
