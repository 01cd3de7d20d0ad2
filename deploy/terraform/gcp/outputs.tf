output "url" {
  description = "What `antiphon deploy check` takes."
  value       = "https://${local.host}"
}
