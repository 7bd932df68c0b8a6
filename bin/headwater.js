#!/usr/bin/env node
// Plain JavaScript that any Node understands: it finds the pinned Node and the program, and hands both over.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { constants, homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NODE_MAJOR_MIN = 24;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');

// A packed install has compiled files only: Node refuses to strip types inside node_modules.
const source = join(root, 'cli', 'headwater.ts');
const program = existsSync(source) ? source : join(root, 'dist', 'cli', 'headwater.js');

// Every process started from here starts in half the time once its modules have been compiled. Like cacheFolder of cli/dev.
process.env.NODE_COMPILE_CACHE ??= join(cacheFolder(), 'compiled');

if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) {
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  await import(pathToFileURL(program).href);
} else {
  const node = pinnedNode();
  if (node) runWith(node);
  else complain('the npm package "node" has not fetched its own yet');
}

function cacheFolder() {
  const { HEADWATER_CACHE, XDG_CACHE_HOME, HOME } = process.env;
  return HEADWATER_CACHE || join(XDG_CACHE_HOME || join(HOME || homedir(), '.cache'), 'headwater');
}

function pinnedNode() {
  try {
    const node = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node');
    const path = process.platform === 'win32' ? `${node}.exe` : node;
    if (existsSync(path)) return path;
  } catch {
    // Not installed: the same as a package without its binary.
  }
  return undefined;
}

function complain(why) {
  process.stderr.write(
    `✗ Headwater needs Node ${NODE_MAJOR_MIN}; this is ${process.versions.node} and ${why}. → Run \`npm install\`, then \`npm rebuild node --ignore-scripts=false\`.\n`,
  );
  process.exitCode = 2;
}

function runWith(node) {
  const child = spawn(node, [program, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal signals the whole group, so the child has the interrupt already; anything else reaches this process only.
  const forward = (signal) => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
  child.on('error', (error) => {
    complain(`the pinned one does not start: ${error.message}`);
  });
  child.on('close', (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
}
