import { pause } from "../support/promised.js";
import type { Scene, SceneOptions } from "./scene.js";

/** Something that happens to a proxy or its backends under constant traffic. */
export interface TrialCase {
  readonly id: string;
  /** For the table. */
  readonly title: string;
  readonly options: SceneOptions;
  /** What fails through no fault of a proxy: what was under way on a backend that is killed. */
  readonly mayLose?: RegExp;
  play(scene: Scene, times: number): Promise<void>;
}

const EVERYTHING = ["keep-alive", "fresh", "half", "tcp"] as const;
const THREE = ["one", "two", "three"] as const;

/** Answers between two events. */
const SOME = 150;

/** The cases; `times` is how often a case repeats what it does. */
export const CASES: readonly TrialCase[] = [
  {
    id: "rolling",
    title: "rolling replacement of all backends",
    options: { backends: THREE, kinds: EVERYTHING },
    async play(scene, times) {
      let old: readonly string[] = THREE;
      for (let round = 0; round < times; round++) {
        const next = THREE.map((id) => `${id}-${round}`);
        for (const [index, id] of next.entries()) {
          await scene.join(id);
          await scene.list();
          await scene.more(SOME / 3);
          await scene.leave(old[index] ?? "");
          await scene.more(SOME / 3);
        }
        old = next;
      }
    },
  },
  {
    id: "in-place",
    title: "backends restarted one by one in place, the catalog unaware",
    options: { backends: THREE, kinds: ["keep-alive", "fresh"], isChecked: true },
    async play(scene, times) {
      for (let round = 0; round < times; round++) {
        for (const id of THREE) {
          await scene.restart(id);
          await usable(scene, id);
          await scene.more(SOME);
        }
      }
    },
  },
  {
    id: "backup",
    title: "one active and one backup replaced in turn",
    options: { backends: ["active", "backup"], kinds: EVERYTHING },
    async play(scene, times) {
      let [active, backup] = ["active", "backup"];
      for (let round = 0; round < times; round++) {
        active = await replaced(scene, active, `active-${round}`);
        backup = await replaced(scene, backup, `backup-${round}`);
      }
    },
  },
  {
    id: "backup-in-place",
    title: "one active and one backup restarted in turn, the catalog unaware",
    options: { backends: ["active", "backup"], kinds: ["keep-alive", "fresh"], isChecked: true },
    async play(scene, times) {
      for (let round = 0; round < times; round++) {
        for (const id of ["active", "backup"]) {
          await scene.restart(id);
          await usable(scene, id);
          await scene.more(SOME);
        }
      }
    },
  },
  {
    id: "kill",
    title: "one of three killed (SIGKILL)",
    options: { backends: THREE, kinds: EVERYTHING, isChecked: true },
    mayLose: /^(POST|TCP)/,
    async play(scene, times) {
      for (let round = 0; round < times; round++) {
        const [id = ""] = THREE.slice(round % 3);
        const killed = scene.backend(id);
        killed.kill("SIGKILL");
        await scene.more(2 * SOME);
        await scene.join(id, killed);
        await usable(scene, id);
        await scene.more(SOME);
      }
    },
  },
  {
    id: "freeze",
    title: "one of three frozen for 3 s (SIGSTOP)",
    options: { backends: THREE, kinds: EVERYTHING, isChecked: true },
    async play(scene, times) {
      for (let round = 0; round < times; round++) {
        const [id = ""] = THREE.slice(round % 3);
        scene.backend(id).kill("SIGSTOP");
        await pause(3_000);
        scene.backend(id).kill("SIGCONT");
        await usable(scene, id);
        await scene.more(SOME);
      }
    },
  },
  {
    id: "idle-reset",
    title: "a backend that resets connections at rest for 20 ms",
    options: { backends: THREE, kinds: ["keep-alive", "fresh", "half"], isChecked: true },
    async play(scene, times) {
      scene.backend("one").set({ resetIdleMs: 20 });
      for (let round = 0; round < times; round++) await scene.more(5 * SOME);
    },
  },
  {
    id: "weight",
    title: "weight to 0 and back",
    options: { backends: THREE, kinds: EVERYTHING },
    async play(scene, times) {
      for (let round = 0; round < times; round++) {
        await scene.proxy.weigh("one", 0);
        await scene.more(SOME);
        await scene.proxy.weigh("one", 1);
        await scene.more(SOME);
      }
    },
  },
  {
    id: "sticky-drain",
    title: "drain with clients that keep a cookie, then the backend leaves",
    options: { backends: THREE, kinds: ["sticky", "keep-alive"] },
    async play(scene, times) {
      for (let round = 0; round < times; round++) {
        const id = round === 0 ? "one" : `one-${round - 1}`;
        await scene.proxy.drain(id);
        await scene.more(SOME);
        await scene.join(`one-${round}`);
        await scene.list();
        await scene.leave(id);
        await scene.more(SOME);
      }
    },
  },
  {
    id: "reload",
    title: "a configuration reload every second",
    options: { backends: THREE, kinds: EVERYTHING },
    async play(scene, times) {
      for (let round = 0; round < times; round++) {
        await scene.proxy.reload();
        await pause(1_000);
      }
    },
  },
  {
    id: "restart",
    title: "the proxy itself restarted",
    options: { backends: THREE, kinds: EVERYTHING },
    async play(scene, times) {
      for (let round = 0; round < times; round++) {
        await scene.proxy.restart();
        await scene.more(2 * SOME);
      }
    },
  },
];

/** One leaves before the other joins; answers the name of the one that joined. */
async function replaced(scene: Scene, old: string, next: string): Promise<string> {
  await scene.leave(old);
  await scene.more(SOME);
  await scene.join(next);
  await scene.list();
  await scene.more(SOME);
  return next;
}

/** Waits until the proxy gives a backend work again. */
async function usable(scene: Scene, id: string): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while ((await scene.proxy.share(id)) === 0) {
    if (performance.now() > deadlineMs) throw new Error(`${id} was not taken back`);
    await pause(50);
  }
}
