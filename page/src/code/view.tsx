export function Code() {
  return <main class="code" aria-label="Code" />;
}
