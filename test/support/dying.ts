/** A process that dies at its n-th step: from then on it does nothing more, to a bucket or to the database. */

class Killed extends Error {
  override readonly name = "Killed";
}

interface Life {
  isOver: boolean;
}

/** Every call of these ports is a step. `before`: the step is not made; `after`: it is, and nobody learns of it. */
export function dyingDeps<Deps extends { buckets: object; moves: object; listing: object; chunkMap: object }>(
  deps: Deps,
  { step, when }: { step: number; when: "before" | "after" },
): { deps: Deps; life: Life } {
  const life = { isOver: false };
  let steps = 0;
  const mortal = <T extends object>(port: T): T =>
    new Proxy(port, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        if (name === "suspect") return member.bind(target); // within the process
        if (name === "port") return (...args: unknown[]) => mortal(member.apply(target, args));
        return async (...args: unknown[]) => {
          if (life.isOver) throw new Killed();
          const isLast = ++steps === step;
          if (isLast) life.isOver = true;
          if (isLast && when === "before") throw new Killed();
          const result: unknown = await member.apply(target, args);
          if (isLast) throw new Killed();
          return result;
        };
      },
    });
  const { buckets, moves, listing, chunkMap } = deps;
  const wrapped = {
    buckets: mortal(buckets),
    moves: mortal(moves),
    listing: mortal(listing),
    chunkMap: mortal(chunkMap),
  };
  return { deps: { ...deps, ...wrapped }, life };
}
