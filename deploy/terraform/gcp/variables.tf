variable "project" {
  description = "The project's identifier."
  type        = string
}

variable "region" {
  description = "Where it runs, such as europe-west3."
  type        = string
}

variable "image" {
  description = "The API's image in Artifact Registry, by its digest: REGION-docker.pkg.dev/PROJECT/REPOSITORY/antiphon-api@sha256:…"
  type        = string

  validation {
    condition     = strcontains(var.image, "@sha256:")
    error_message = "An image is named by its digest, which nobody can change: …@sha256:…"
  }
}

variable "token_secret" {
  description = "The name of the secret of Secret Manager with the token, 32 hexadecimal digits. It is made outside, so that it is in no state file."
  type        = string
}

variable "token_version" {
  description = "The secret's version."
  type        = string
  default     = "1"
}

variable "invokers" {
  description = "Who may send requests, such as user:a@example.org. There is no default; allUsers lets everyone try, and then the token alone protects."
  type        = list(string)
}

variable "host" {
  description = "A name of your own that leads to the service, or \"\"."
  type        = string
  default     = ""
}

variable "cpu" {
  description = "Processors."
  type        = string
  default     = "2"
}

variable "memory" {
  description = "Of the instance; its home and /tmp are in it."
  type        = string
  default     = "4Gi"
}

variable "home_size" {
  description = "For files, jobs and their results."
  type        = string
  default     = "1Gi"
}
