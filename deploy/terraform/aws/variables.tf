variable "region" {
  description = "Where it runs, such as eu-central-1."
  type        = string
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "public_subnet_ids" {
  description = "Two or more subnets for the load balancer."
  type        = list(string)
}

variable "private_subnet_ids" {
  description = "Subnets for the task, from which the registry can be reached; one for each zone."
  type        = list(string)
}

variable "allowed_cidrs" {
  description = "Who may reach the load balancer. There is no default: name the addresses, or 0.0.0.0/0 for everyone."
  type        = list(string)
}

variable "host" {
  description = "The name that clients ask, for which the certificate is."
  type        = string
}

variable "certificate_arn" {
  description = "The certificate, of ACM."
  type        = string
}

variable "image" {
  description = "The API's image in ECR, by its digest: ACCOUNT.dkr.ecr.REGION.amazonaws.com/antiphon-api@sha256:…"
  type        = string

  validation {
    condition     = strcontains(var.image, "@sha256:")
    error_message = "An image is named by its digest, which nobody can change: …@sha256:…"
  }
}

variable "repository_arn" {
  description = "The repository of the image."
  type        = string
}

variable "token_secret_arn" {
  description = "The secret of Secrets Manager with the token, 32 hexadecimal digits as plain text. It is made outside, so that it is in no state file."
  type        = string
}

variable "cpu" {
  description = "Of the task; 1024 is one processor."
  type        = number
  default     = 2048
}

variable "memory" {
  description = "MiB of the task."
  type        = number
  default     = 4096
}
