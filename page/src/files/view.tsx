export function Files() {
  return <section class="files" aria-label="Files" />;
}
