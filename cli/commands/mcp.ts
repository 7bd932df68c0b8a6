import { moduleFile } from '../module-file.ts';
import { attended, environmentOf } from '../attended.ts';
import type { Command } from '../command.ts';

const SERVER = moduleFile('servers/mcp/main');

export const mcp: Command = {
  name: 'mcp',
  summary: 'Profiles as tools of an assistant, on stdin and stdout (MCP)',
  usage: '',
  example: 'mcp --key-file /run/secrets/assistant.key',
  about:
    'For the configuration of an assistant, which starts it itself: docs/mcp.md shows how. The key\ncomes from --key-file or the variable HEADWATER_KEY, and its scopes and masks hold as they do\nover HTTP. stdout carries the protocol only; the log is logs/mcp.ndjson in the home.',
  options: { 'key-file': { type: 'string', value: '<file>', help: 'A file that holds the API key' } },
  arguments: { min: 0, max: 0 },
  async run(call) {
    const { path, home } = await call.load();
    const file = call.options.text('key-file');
    return await attended([SERVER, '--config', path, ...(file === undefined ? [] : ['--key-file', file])], {
      ...(await environmentOf(call)),
      HEADWATER_HOME: home,
    });
  },
};
