import { attended, environmentOf } from '../attended.ts';
import type { Command } from '../command.ts';
import { moduleFile } from '../module-file.ts';

const SERVERS = moduleFile('servers/main');

export const serve: Command = {
  name: 'serve',
  summary: 'Take webhooks and serve profiles, and stay',
  usage: '',
  example: 'serve --webhooks',
  about:
    'One process with two listeners, at the addresses of `serve` in the configuration, which also\nfollows queues and change events; with an option only that part. `start` runs it all beside\nthe worker. Its first line is JSON with their URLs; its log is logs/serve.ndjson in the home.\nCtrl-C lets answers under way finish.',
  options: {
    webhooks: { type: 'boolean', help: 'Webhooks and ingest only' },
    profiles: { type: 'boolean', help: 'Profiles only' },
    topics: { type: 'boolean', help: 'Change events that are followed only' },
  },
  arguments: { min: 0, max: 0 },
  async run(call) {
    const { path, home } = await call.load();
    const chosen = (['webhooks', 'profiles', 'topics'] as const).filter((name) => call.options.flag(name));
    return await attended([SERVERS, '--config', path, ...chosen.map((name) => `--${name}`)], {
      ...(await environmentOf(call)),
      HEADWATER_HOME: home,
    });
  },
};
