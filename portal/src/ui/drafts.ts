/** What is typed into forms, while what it changes changes. */

export interface Draft<T> {
  /** What there was when somebody began. */
  base: T;
  value: T;
}

/** What was typed into `kept`, over what there is now: what nobody touched follows. */
export function rebased<T extends object>(kept: Draft<T>, now: T): Draft<T> {
  const next = { base: { ...now }, value: { ...now } };
  for (const member of Object.keys(now) as (keyof T)[]) {
    if (JSON.stringify(kept.value[member]) === JSON.stringify(kept.base[member])) continue;
    next.base[member] = kept.base[member];
    next.value[member] = kept.value[member];
  }
  return next;
}

/** Whether there is anything in it that there was not at first. */
export function isTyped({ base, value }: Draft<unknown>): boolean {
  return JSON.stringify(base) !== JSON.stringify(value);
}
