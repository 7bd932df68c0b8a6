import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hash,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { HeadwaterError } from '../../rules/errors.ts';

export const MASTER_KEY_BYTES = 32;
export const SALT_BYTES = 16;

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** 128 bits of a keyed hash as text; what ids and look-ups store. */
export const ID_CHARACTERS = 22;
const SCRATCH_BYTES = 64 * 1024;
const PUBLIC_ID = /^p_([0-9a-f]{32})$/;

/**
 * HMAC-SHA-256 made of one-shot hashes, which Node computes ten times faster than an Hmac object; test/unit/stores/claims
 * compares the two.
 */
export class KeyedHash {
  #inner = Buffer.alloc(SCRATCH_BYTES);
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);

  constructor(key: Buffer) {
    if (key.length > BLOCK_BYTES) throw new HeadwaterError('INTERNAL', 'a key longer than a block');
    for (let index = 0; index < BLOCK_BYTES; index += 1) {
      const byte = key[index] ?? 0;
      this.#inner[index] = byte ^ 0x36;
      this.#outer[index] = byte ^ 0x5c;
    }
  }

  hex(text: string): string {
    return this.#digest(text, 'hex');
  }

  /** The first 132 bits. */
  id(text: string): string {
    return this.#digest(text, 'base64url').slice(0, ID_CHARACTERS);
  }

  #digest(text: string, encoding: 'hex' | 'base64url'): string {
    // A UTF-16 unit never takes more than three bytes.
    const bytesMax = BLOCK_BYTES + text.length * 3;
    if (bytesMax > this.#inner.length) {
      const wider = Buffer.alloc(bytesMax);
      this.#inner.copy(wider, 0, 0, BLOCK_BYTES);
      this.#inner = wider;
    }
    const length = BLOCK_BYTES + this.#inner.write(text, BLOCK_BYTES, 'utf8');
    this.#outer.write(hash('sha256', this.#inner.subarray(0, length), 'binary'), BLOCK_BYTES, 'latin1');
    return hash('sha256', this.#outer, encoding);
  }
}

/**
 * I5: what makes personal values unreadable without the master key, and those of one record for ever once its salt is gone.
 * Record key = HMAC(master, salt); a body is AES-256-GCM under it; ids and look-ups are keyed hashes.
 */
export class Vault {
  readonly #recordKeys: KeyedHash;
  readonly #observations: KeyedHash;
  readonly #identifiers: KeyedHash;
  readonly #subjects: KeyedHash;
  readonly #conceal;
  readonly #reveal;
  readonly #nonce = Buffer.alloc(NONCE_BYTES);
  readonly #master: Buffer;
  readonly #block = Buffer.alloc(16);
  #epoch = 0n;
  /** Proves that a store belongs to this key, and tells nothing else. */
  readonly keyCheck: string;

  constructor(master: Buffer) {
    if (master.length !== MASTER_KEY_BYTES) {
      throw new HeadwaterError('CONFIG_INVALID', `the claims key has ${master.length} bytes, not 32`, {
        remedy: 'Restore claims.key, or give a secret of 32 bytes.',
      });
    }
    this.#master = master;
    const root = new KeyedHash(master);
    const derived = (purpose: string) => Buffer.from(root.hex(purpose), 'hex');
    this.#recordKeys = new KeyedHash(derived('record keys'));
    this.#observations = new KeyedHash(derived('observations'));
    this.#identifiers = new KeyedHash(derived('identifiers'));
    this.#subjects = new KeyedHash(derived('subjects'));
    this.keyCheck = new KeyedHash(derived('check')).id('claims');
    const publicKey = createSecretKey(derived('public ids'));
    // One block over an integer that is never repeated: a permutation, so nothing can be learnt from equal blocks.
    this.#conceal = createCipheriv('aes-256-ecb', publicKey, null).setAutoPadding(false);
    this.#reveal = createDecipheriv('aes-256-ecb', publicKey, null).setAutoPadding(false);
  }

  /** `salt`: hex. A KeyObject, because a cipher made from bytes takes ten times as long. */
  recordKey(salt: string): KeyObject {
    return createSecretKey(this.#recordKeys.hex(salt), 'hex');
  }

  /** For a thread of this process, which makes a vault of its own of it. */
  masterCopy(): Uint8Array {
    return new Uint8Array(this.#master);
  }

  /**
   * `id`: of the event. It is a keyed hash of all that the text says, so its first 96 bits are a nonce that no other text has
   * under this key: a transaction that is rolled back and decided anew gives no text the nonce of another one.
   */
  seal(key: KeyObject, text: string, id: string): Buffer {
    this.#nonce.write(id, 0, NONCE_BYTES, 'base64url');
    const cipher = createCipheriv('aes-256-gcm', key, this.#nonce);
    const body = cipher.update(text, 'utf8');
    cipher.final();
    return Buffer.concat([cipher.getAuthTag(), body]);
  }

  /** Throws INTERNAL for a body that this key did not write for this event: the store was tampered with. */
  open(key: KeyObject, sealed: Uint8Array, id: string): string {
    this.#nonce.write(id, 0, NONCE_BYTES, 'base64url');
    const decipher = createDecipheriv('aes-256-gcm', key, this.#nonce);
    decipher.setAuthTag(sealed.subarray(0, TAG_BYTES));
    const text = decipher.update(sealed.subarray(TAG_BYTES), undefined, 'utf8');
    try {
      decipher.final();
    } catch (error) {
      throw new HeadwaterError('INTERNAL', `event ${id} is not what was written`, { cause: error });
    }
    return text;
  }

  observationId(content: string): string {
    return this.#observations.id(content);
  }

  identifierHash(entity: string, kind: string, value: string): string {
    return this.identifierHashOf(`${entity}\0${kind}\0${value}`);
  }

  /** `said`: entity, kind and value, as above. */
  identifierHashOf(said: string): string {
    return this.#identifiers.id(said);
  }

  /** Of a record, to know an erased one again. */
  subjectHash(source: string, object: string, record: string): string {
    return this.#subjects.id(`${source}\0${object}\0${record}`);
  }

  /**
   * Ids of two stores differ though they share a key: a store that was lost and is made again counts from one, and must not give
   * a customer the id that another one had.
   */
  bindTo(epoch: string): void {
    hash('sha256', epoch, 'buffer').copy(this.#block, 0, 0, 8);
    this.#epoch = this.#block.readBigUInt64BE(0);
  }

  publicId(profile: number): string {
    this.#block.writeBigUInt64BE(BigInt(profile), 8);
    return `p_${this.#conceal.update(this.#block, undefined, 'hex')}`;
  }

  /** Null for what is no id of this store. */
  privateId(id: string): number | null {
    const [, hex] = PUBLIC_ID.exec(id) ?? [];
    if (hex === undefined) return null;
    const block = this.#reveal.update(Buffer.from(hex, 'hex'));
    const profile = block.readBigUInt64BE(8);
    if (block.readBigUInt64BE(0) !== this.#epoch || profile > BigInt(Number.MAX_SAFE_INTEGER)) return null;
    return Number(profile);
  }
}

/** Salts for new records: one call of the random source for many. */
export class Salts {
  #pool = '';

  next(): string {
    if (this.#pool.length === 0) this.#pool = randomBytes(SALT_BYTES * 256).toString('hex');
    const salt = this.#pool.slice(0, SALT_BYTES * 2);
    this.#pool = this.#pool.slice(SALT_BYTES * 2);
    return salt;
  }
}
