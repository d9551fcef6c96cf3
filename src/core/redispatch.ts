/**
 * Whether the next try of a request that is bound to its backend, by its session or its key, may go to another one:
 * HAProxy's `option redispatch <interval>`.
 *
 * @param interval P: every Pth retry, so 1 is every one; -N: the Nth before the last, so -1 is the last one alone
 * @param retry the number of the try that is about to be made, 1 for the first after the first
 * @param most tries after the first, at least 1
 */
export function isRedispatchDue(interval: number, retry: number, most: number): boolean {
  const every = interval > 0 ? interval : most + 1 + interval;
  // Where there are fewer tries than that, HAProxy would divide by nothing.
  return retry % Math.max(every, 1) === 0;
}
