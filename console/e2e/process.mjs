// A harmless process in the control group that a sensor watches, for the tests that end one: started
// here, so that its end is seen here too, whatever the console says.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Starts `sleep` in a group of its own below `group`. `ended` resolves with the signal that ended it;
 * `stop` removes whatever is left.
 */
export async function sleeper(group) {
  const folder = join(group, `browser-${process.pid}`);
  await mkdir(folder);
  // An hour and some odd seconds: a command line that no other process has.
  const seconds = `3600.${process.pid}${Math.floor(Math.random() * 1e6)}`;
  const child = spawn('/bin/sh', ['-c', 'echo 0 > "$0/cgroup.procs" && exec sleep "$1"', folder, seconds], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'exit').then(([code, signal]) => signal ?? `exit code ${code}`);
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    await rmdir(folder);
  };
  return { pid: child.pid, line: `sleep ${seconds}`, ended, stop };
}
