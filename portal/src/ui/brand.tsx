/** The mark, and the way to the first page. */

export function Brand({ href }: { href: string }) {
  return (
    <a class="brand" href={href}>
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
        <path d="M4 9c4 0 4 3 8 3s4-3 8-3 4 3 8 3M4 16c4 0 4 3 8 3s4-3 8-3 4 3 8 3M4 23c4 0 4 3 8 3s4-3 8-3 4 3 8 3" />
      </svg>
      <span>Headwater</span>
    </a>
  );
}
