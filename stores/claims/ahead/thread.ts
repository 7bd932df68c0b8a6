import { parentPort, workerData } from 'node:worker_threads';
import { Salts, Vault } from '../vault.ts';
import type { SealRequest, Sealed } from './messages.ts';

/** The thread that hashes and seals; it holds keys, and sees texts only while it works on them. */
const master: Uint8Array = workerData;
const vault = new Vault(Buffer.from(master));
const salts = new Salts();

parentPort?.on('message', ({ number, all, lengths, rows }: SealRequest) => {
  let place = 0;
  const part = (index: number) => {
    const from = place;
    place += lengths[index] ?? 0;
    return all.slice(from, place);
  };
  const sealed: Sealed = {
    ...{ number, ids: '', salts: '', hashes: '' },
    bodies: new Uint8Array(0),
    ends: new Uint32Array(rows),
  };
  const bodies: Buffer[] = [];
  let end = 0;
  for (let row = 0; row < rows; row += 1) {
    const prefix = part(row * 2);
    const text = part(row * 2 + 1);
    const id = vault.observationId(prefix + text);
    const salt = salts.next();
    const body = vault.seal(vault.recordKey(salt), text, id);
    sealed.ids += id;
    sealed.salts += salt;
    bodies.push(body);
    end += body.length;
    sealed.ends[row] = end;
  }
  for (let index = rows * 2; index < lengths.length; index += 1) {
    sealed.hashes += vault.identifierHashOf(part(index));
  }
  sealed.bodies = new Uint8Array(end);
  for (const [row, body] of bodies.entries()) sealed.bodies.set(body, (sealed.ends[row] ?? 0) - body.length);
  parentPort?.postMessage(sealed, [sealed.bodies.buffer, sealed.ends.buffer]);
});
