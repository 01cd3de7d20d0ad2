export function Library() {
  return <main class="library" aria-label="Library" />;
}
