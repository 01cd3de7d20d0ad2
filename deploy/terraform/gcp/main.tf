# Antiphon's API on Cloud Run, which has the TLS; logs go to Cloud Logging. See docs/operations.md.

terraform {
  required_version = ">= 1.6"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

data "google_project" "this" {
  project_id = var.project
}

locals {
  name = "antiphon"
  port = 4401
  # the address that Cloud Run gives a service, which is known before the service is
  host = "${local.name}-${data.google_project.this.number}.${var.region}.run.app"
}

# ---- who it is: an account that may read this one secret, and nothing else

resource "google_service_account" "api" {
  account_id   = "${local.name}-api"
  display_name = "Antiphon's API"
}

resource "google_secret_manager_secret_iam_member" "token" {
  secret_id = var.token_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.api.member
}

# ---- the service

resource "google_cloud_run_v2_service" "api" {
  name                = local.name
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL"
  deletion_protection = false

  template {
    service_account       = google_service_account.api.email
    execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
    timeout               = "60s"

    # One instance: jobs and files are one server's, and a job is asked for where it was begun.
    scaling {
      min_instance_count = 1
      max_instance_count = 1
    }

    containers {
      image = var.image

      ports {
        container_port = local.port
      }

      resources {
        # a processor also between requests, for the engine and for jobs
        cpu_idle = false
        limits = {
          cpu    = var.cpu
          memory = var.memory
        }
      }

      env {
        name  = "ANTIPHON_PROXY"
        value = join(" ", compact([local.host, var.host]))
      }

      # Cloud Run gives 10 s after SIGTERM
      env {
        name  = "ANTIPHON_DRAIN"
        value = "6"
      }

      env {
        name  = "ANTIPHON_TOKEN_FILE"
        value = "/secrets/token"
      }

      volume_mounts {
        name       = "token"
        mount_path = "/secrets"
      }

      volume_mounts {
        name       = "home"
        mount_path = "/var/lib/antiphon"
      }

      volume_mounts {
        name       = "tmp"
        mount_path = "/tmp"
      }

      startup_probe {
        initial_delay_seconds = 5
        period_seconds        = 5
        timeout_seconds       = 5
        failure_threshold     = 12
        http_get {
          path = "/api/health"
          port = local.port
        }
      }

      liveness_probe {
        period_seconds    = 15
        timeout_seconds   = 6
        failure_threshold = 3
        http_get {
          path = "/api/health"
          port = local.port
        }
      }
    }

    volumes {
      name = "token"
      secret {
        secret       = var.token_secret
        default_mode = 292 # 0444: the server stores its own copy for its owner alone
        items {
          version = var.token_version
          path    = "token"
        }
      }
    }

    # In memory, and gone with the instance: results are fetched when a job is done. The table of jobs is SQLite, for
    # which a bucket is no place.
    volumes {
      name = "home"
      empty_dir {
        medium     = "MEMORY"
        size_limit = var.home_size
      }
    }

    volumes {
      name = "tmp"
      empty_dir {
        medium     = "MEMORY"
        size_limit = "256Mi"
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.token]
}

# Whoever these are may ask; what they may do is the token's matter.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = toset(var.invokers)
  name     = google_cloud_run_v2_service.api.name
  location = google_cloud_run_v2_service.api.location
  role     = "roles/run.invoker"
  member   = each.value
}
