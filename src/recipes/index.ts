/**
 * Recipes: what is built of znodes, watches and locks, one idea a file.
 *
 * @module
 */

export { Counter, type UpdateOptions, updateJson, updateZnode } from "./atomic.ts";
export { Barrier, type BarrierOptions, DoubleBarrier } from "./barrier.ts";
export { type CandidateOptions, type Leader, lead, leaderOf, observeLeader, stand } from "./election.ts";
export { join, membersOf, observeMembers } from "./group.ts";
export { type Grant, revokeLock, type StealOptions, stealLock, untilRevoked } from "./lock-interventions.ts";
export { type LockSet, lockAll, readLock, writeLock } from "./locks.ts";
export { type OnceOptions, type OnceResult, once } from "./once.ts";
export { type Item, type PutOptions, Queue, type TakeOptions } from "./queue.ts";
export { type Hold, type ReentrantLockOptions, ReentrantLocks } from "./reentrant-locks.ts";
export {
  type Candidate,
  type Participant,
  Rollout,
  type RolloutState,
  type RolloutView,
  rolloutView,
  type Stage,
  type StepOptions,
} from "./rollout.ts";
export { Seat, type SemaphoreOptions, takeSeat } from "./semaphore.ts";
export { type CheckerOptions, checkServices } from "./service-checker.ts";
export type { HealthState } from "./service-health.ts";
export {
  deregisterService,
  type LookupOptions,
  observeServices,
  registerService,
  Service,
  type ServiceCheck,
  type ServiceInstance,
  type ServiceOptions,
  serviceNames,
  servicesOf,
} from "./services.ts";
export { type CacheListener, SubtreeCache, type SubtreeCacheOptions } from "./subtree-cache.ts";
export { type AssignerOptions, assignTasks } from "./task-assigner.ts";
export { type HeldTask, type WorkerOptions, workOnTasks } from "./task-worker.ts";
export { addTask, assignmentsOf, removeTask, type TaskOptions } from "./tasks.ts";
