/** What a process and all its children and threads have cost so far, read from /proc (Linux only). */
import { readdirSync, readFileSync } from "node:fs";

const NS_PER_TICK = 10_000_000;

/** The process and all its descendants. Empty when it is gone. */
export function processTree(rootPid: number): number[] {
  const tree: number[] = [];
  const waiting = [rootPid];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    const threads = threadsOf(pid);
    if (threads.length > 0) tree.push(pid);
    for (const thread of threads) waiting.push(...childrenOf(pid, thread));
  }
  return tree;
}

/**
 * Processor time (user and system) of the tree in nanoseconds. It comes from each thread's `schedstat`, which is
 * the sum that utime + stime are scaled to, without their rounding to 10 ms; without it from `stat`.
 */
export function processorTimeNs(rootPid: number): number {
  let ns = 0;
  for (const pid of processTree(rootPid)) {
    for (const thread of threadsOf(pid)) ns += threadTimeNs(`/proc/${pid}/task/${thread}`);
  }
  return ns;
}

/**
 * Time all cores have spent on anything since boot, nanoseconds, in steps of 10 ms: user, nice, system, interrupts and
 * what the host took away (stolen), without idling.
 */
export function machineBusyNs(): number {
  const fields =
    /^cpu +(.*)$/m
      .exec(read("/proc/stat") ?? "")?.[1]
      ?.split(" ")
      .map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, stolen = 0] = fields;
  return (user + nice + system + irq + softirq + stolen) * NS_PER_TICK;
}

/** Resident memory of the tree in KiB, pages shared between its processes counted once per process. */
export function residentKib(rootPid: number): number {
  let kib = 0;
  for (const pid of processTree(rootPid)) {
    kib += Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`) ?? "")?.[1] ?? 0);
  }
  return kib;
}

function threadTimeNs(directory: string): number {
  const schedstat = read(`${directory}/schedstat`);
  if (schedstat !== undefined) return Number(schedstat.split(" ")[0]);
  // Fields are counted after the command name, which may itself hold spaces and brackets: utime is the 12th there.
  const stat = read(`${directory}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)) * NS_PER_TICK;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    // The process ended meanwhile: it has no threads.
    return [];
  }
}

function childrenOf(pid: number, thread: string): number[] {
  const list = read(`/proc/${pid}/task/${thread}/children`)?.trim();
  return list === undefined || list === "" ? [] : list.split(" ").map(Number);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // Gone, or not offered by this kernel.
    return undefined;
  }
}
