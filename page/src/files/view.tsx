export function Files() {
  return <main class="files" aria-label="Files" />;
}
