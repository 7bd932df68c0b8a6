import process from 'node:process';
import { EXIT } from './exit-codes.ts';
import { main } from './main.ts';

// `headwater runs | head` closes the pipe before we are done, which is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

// A configuration in a folder without "type": "module" works; how Node finds that out does not concern its author.
const emitWarning = process.emitWarning.bind(process);
process.emitWarning = (...given: unknown[]) => {
  if (JSON.stringify(given).includes('MODULE_TYPELESS_PACKAGE_JSON')) return;
  Reflect.apply(emitWarning, process, given);
};

process.exitCode = await main(process.argv.slice(2));
// A question to Temporal that waits for a worker cannot be taken back; its retries would find the connection closed.
if (process.exitCode === EXIT.interrupted) process.exit();
