import { ledgerWords } from '../../config/ledger.ts';
import { stagePlace } from '../../config/stage.ts';
import { resolveSecrets } from '../../config/secrets.ts';
import type { Config, ConnectionConfig } from '../../config/schema.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import type { CheckResult } from '../../sources/source.ts';
import { chosenConnections } from '../chosen.ts';
import { looking, printChecks, type Check } from '../checks.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { checkTopics } from '../topic-checks.ts';
import { ledgerIfAny } from '../open.ts';
import { withSource } from '../source.ts';
import { checkWarehouse } from '../warehouse.ts';

export const check: Command = {
  name: 'check',
  summary: 'Whether configuration, secrets and connections work',
  usage: '[connection]',
  example: 'check salesforce',
  about: 'Logs in and asks; reads no records. A bucket of the stage gets a mark, which is removed again.',
  options: {},
  arguments: { min: 0, max: 1 },
  async run(call) {
    const loaded = await call.load();
    const { config, path } = loaded;
    const connections = chosenConnections(config, call.arguments[0]);
    const checks: Check[] = [{ of: 'configuration', check: 'file', ok: true, detail: path }];
    let secretsMissing = false;
    for (const connection of connections) {
      const secrets = missingSecrets(connection);
      if (secrets.length > 0) {
        secretsMissing = true;
        checks.push(...secrets);
      } else {
        checks.push(...(await checkSource(call, config, connection)));
        if (connection.webhooks !== undefined)
          checks.push(...(await looking(connection.name, 'topic', () => checkTopics(connection))));
      }
    }
    checks.push(...(await looking('warehouse', 'connect', () => checkWarehouse(loaded, config.warehouse))));
    for (const copy of config.copies ?? [])
      checks.push(...(await looking(copy.name, 'connect', () => checkWarehouse(loaded, copy))));
    if (config.ledger.kind === 'postgres') {
      checks.push(...(await looking('ledger', 'connect', () => checkLedger(config))));
    }
    checks.push(...(await looking('stage', 'place', () => checkStage(config))));
    const code = printChecks(call, checks);
    return secretsMissing ? EXIT.usage : code;
  },
};

/** A file needs no check; a server may be away, or refuse the user. */
async function checkLedger(config: Config): Promise<CheckResult[]> {
  const ledger = await ledgerIfAny(config);
  await ledger?.close();
  const made = ledger === undefined ? '; its tables are made by the first start' : '';
  return [{ check: 'connect', ok: true, detail: `${ledgerWords(config)}${made}` }];
}

/** A folder is checked by `doctor`; a bucket may refuse, and a folder beside a shared ledger serves one machine only. */
async function checkStage(config: Config): Promise<CheckResult[]> {
  const place = stagePlace(config);
  if (place.kind !== 'disk') {
    const { checkStageAt } = await import('../../stores/stage/open.ts');
    return [{ check: 'bucket', ok: true, detail: await checkStageAt(place) }];
  }
  if (config.ledger.kind === 'sqlite') return [];
  const detail =
    'a folder: workers of other machines are refused with STAGE_FOREIGN unless they have the same disk (docs/stage.md)';
  return [{ check: 'folder', ok: true, detail }];
}

function checkSource(call: Call, config: Config, connection: ConnectionConfig): Promise<Check[]> {
  return looking(connection.name, 'connect', () =>
    withSource(config, connection, call.signal, ({ source }): Promise<CheckResult[]> => source.check()),
  );
}

/** Each missing secret is a line of its own, so that all are set in one go. */
function missingSecrets({ name, source }: ConnectionConfig): Check[] {
  const missing: Check[] = [];
  const look = (value: unknown, at: string): void => {
    if (typeof value !== 'object' || value === null) return;
    if (!('$secret' in value)) {
      for (const [key, inner] of Object.entries(value)) look(inner, `${at}.${key}`);
      return;
    }
    try {
      resolveSecrets(value, at);
    } catch (error) {
      if (!(error instanceof HeadwaterError)) throw error;
      missing.push({ of: name, check: 'secret', ok: false, detail: error.message, remedy: error.remedy });
    }
  };
  look(source, `connections.${name}`);
  return missing;
}
