import { keyHash, newKey } from '../../config/keys.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';

export const keys: Command = {
  name: 'keys',
  summary: 'Make an API key and the hash that the configuration holds',
  usage: 'new',
  example: 'keys new',
  about:
    'The key is shown once and kept nowhere: give it to whoever uses it. Write the hash into\n`serve.keys` with a name and its scopes, and start the servers again.',
  options: {},
  arguments: { min: 1, max: 1 },
  async run({ arguments: [what], json, output }) {
    if (what !== 'new') {
      throw new HeadwaterError('INPUT_INVALID', `keys does not know ${JSON.stringify(what)}`, {
        remedy: 'Write `npx headwater keys new`.',
      });
    }
    const key = newKey();
    const hash = keyHash(key) ?? '';
    if (json) output.json({ key, hash });
    else {
      output.line(`key   ${key}`);
      output.line(`hash  ${hash}`);
      output.note(
        `In headwater.config.ts: serve: { keys: { chatbot: { hash: '${hash}', scopes: ['read'] } } }`,
      );
    }
    return EXIT.ok;
  },
};
