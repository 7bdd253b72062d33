/**
 * An operator who changes the members: adds servers that are new, moves members to them, gives and takes votes,
 * removes members; orders again what has not come about, and leaves half of that be.
 *
 * @module
 */

import type { ServerId } from "../../../src/base/index.ts";
import type { MemberOrder, MembersAnswer } from "../../../src/objects/index.ts";
import type { UserWorld } from "./users.ts";

type Wish = MemberOrder | { readonly removes: ServerId };

const identities = [{ scheme: "super", id: "" }];

export class Operator {
  readonly #world: UserWorld;
  readonly #ids: readonly ServerId[];
  #member: ServerId;
  #isBusy = false;
  #wish: Wish | undefined;

  constructor(world: UserWorld, ids: readonly ServerId[]) {
    this.#world = world;
    this.#ids = ids;
    this.#member = world.anyMember();
  }

  think(): void {
    const world = this.#world;
    if (this.#isBusy) return;
    this.#isBusy = true;
    const wish = this.#wish ?? this.#draw();
    this.#wish = wish;
    const [method, first] = "removes" in wish ? ["removeMember", wish.removes] : ["addMember", wish];
    world.ask(this.#member, method, [first, identities], (answer) => {
      this.#isBusy = false;
      this.#told(answer as MembersAnswer | undefined);
    });
  }

  #draw(): Wish {
    const world = this.#world;
    const server = (): ServerId => this.#ids[world.choose(this.#ids.length)] ?? this.#member;
    const draw = world.choose(8);
    // A member that leaves never comes back, so that there is somebody left in the end.
    if (draw === 0) return { removes: server() };
    const role = draw < 5 ? "voter" : "observer";
    const id = server();
    const replaces = server();
    return draw % 2 === 0 && replaces !== id ? { id, role, replaces } : { id, role };
  }

  #told(answer: MembersAnswer | undefined): void {
    const world = this.#world;
    world.count(`members ${answer?.kind ?? "unanswered"}`);
    if (answer?.kind === "done" || answer?.kind === "refused") this.#wish = undefined;
    else if (world.choose(4) === 0) this.#wish = undefined;
    if (answer?.kind === "notLeader" && answer.leader !== 0) this.#member = answer.leader;
    else if (answer?.kind !== "done" && answer?.kind !== "waiting" && answer?.kind !== "refused")
      this.#member = world.anyMember();
  }
}
