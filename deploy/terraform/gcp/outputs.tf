output "url" {
  description = "Address of the API."
  value       = "https://${local.host}"
}
