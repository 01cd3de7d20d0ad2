output "url" {
  description = "Address of the API, once the name leads to the load balancer."
  value       = "https://${var.host}"
}

output "balancer" {
  description = "Where the name has to lead."
  value       = aws_lb.api.dns_name
}
